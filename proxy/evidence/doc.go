// Package evidence asks the kernel about an attempt that failed or was slow, and says the
// answer in a sentence: did the endpoint's kernel acknowledge the request, did the
// application read it, does anybody listen there.
//
// A [Kernel] is made once for a process. [Kernel.Connection] asks about a connection that
// is still open:
//
//	k := evidence.New(log)
//	text := k.Connection(conn, evidence.Attempt{Who: "the application", Sent: true, Waited: 15 * time.Second})
//	// "the application has acknowledged the whole request, and sent nothing for 15 s"
//
// It knows no request and no Hop, and it judges nobody: it says what is so at the moment.
// On systems other than Linux it says nothing. What is said when is in words.go, which is
// pure.
package evidence
