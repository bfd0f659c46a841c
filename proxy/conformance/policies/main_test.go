package policies_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call are the fields of a gRPC call.
var call = []string{"content-type: application/grpc", "te: trailers"}
