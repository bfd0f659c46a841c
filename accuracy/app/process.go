package app

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Child is the environment variable that makes a process an application; see [Main].
const Child = "HOPSCOPE_ACCURACY_APPLICATION"

// Main is an application as a process of its own: for faults that stop or kill it. It
// reads its Spec, as JSON, from in, writes its address to out, and ends with in.
func Main(in io.Reader, out io.Writer) error {
	var s Spec
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return fmt.Errorf("application: %w", err)
	}
	a, err := Start(s)
	if err != nil {
		return err
	}
	defer a.Close()
	if _, err := fmt.Fprintln(out, a.Address()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// IsChild reports whether this process was started to be an application.
func IsChild() bool { return os.Getenv(Child) != "" }
