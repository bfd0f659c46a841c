package http2

import frame "golang.org/x/net/http2"

// Code is an error code (RFC 9113 section 7).
type Code uint32

// The error codes.
const (
	NoError            = Code(frame.ErrCodeNo)
	ProtocolError      = Code(frame.ErrCodeProtocol)
	InternalError      = Code(frame.ErrCodeInternal)
	FlowControlError   = Code(frame.ErrCodeFlowControl)
	SettingsTimeout    = Code(frame.ErrCodeSettingsTimeout)
	StreamClosed       = Code(frame.ErrCodeStreamClosed)
	FrameSizeError     = Code(frame.ErrCodeFrameSize)
	RefusedStream      = Code(frame.ErrCodeRefusedStream)
	Cancel             = Code(frame.ErrCodeCancel)
	CompressionError   = Code(frame.ErrCodeCompression)
	ConnectError       = Code(frame.ErrCodeConnect)
	EnhanceYourCalm    = Code(frame.ErrCodeEnhanceYourCalm)
	InadequateSecurity = Code(frame.ErrCodeInadequateSecurity)
	HTTP11Required     = Code(frame.ErrCodeHTTP11Required)
)

// String is the code's name, such as "REFUSED_STREAM".
func (c Code) String() string { return frame.ErrCode(c).String() }
