package netio_test

import (
	"crypto/tls"
	"fmt"
	"testing"
)

// exchanges has one Conn serve another within Turns, and returns what sends a
// request of the given size and takes the answer, of that size too.
func exchanges(t testing.TB, version uint16, size int) (once func()) {
	tr := transports[0]
	if version != 0 {
		tr.tls = &encryption{version, false}
	}
	client, server := pairOf(t, tr)
	client.WriteTimeout, server.WriteTimeout = patience, patience
	answer, got := make([]byte, size), 0
	over := make(chan error, 1)
	go func() {
		defer server.Done()
		server.Await(server.Now(), 0)
		over <- server.Turns(func() bool {
			n := len(server.Buffered())
			server.Consume(n)
			if got += n; got < size {
				return true
			}
			got = 0
			now := server.Now()
			server.Await(now, now+patience)
			return server.WriteTwo(answer[:size/3], answer[size/3:]) == nil
		})
	}()
	t.Cleanup(func() {
		client.Done()
		<-over
	})
	client.Watch(func() bool { return false })
	head, body := make([]byte, size/2), make([]byte, size-size/2)
	return func() {
		now := client.Now()
		client.Await(now, now+patience)
		if _, err := client.Exchange(head, body); err != nil {
			t.Fatal(err)
		}
		for got := 0; ; {
			n := len(client.Buffered())
			client.Consume(n)
			if got += n; got == size {
				break
			}
			if err := client.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		client.Release()
	}
}

func BenchmarkExchange(b *testing.B) { benchmarkExchange(b, 0) }

func BenchmarkExchangeTLS(b *testing.B) { benchmarkExchange(b, tls.VersionTLS13) }

func benchmarkExchange(b *testing.B, version uint16) {
	for _, size := range []int{300, 8 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			once := exchanges(b, version, size)
			b.ReportAllocs()
			b.SetBytes(int64(2 * size))
			for b.Loop() {
				once()
			}
		})
	}
}
