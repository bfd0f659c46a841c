package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/deploy/demo"
)

// applicationCommand makes this program one application of the mesh.
const applicationCommand = "application"

// A started application reads a line of JSON for each order and answers it with a line: the
// first order is a start.
type (
	start struct {
		Name      string
		Good, Bad files // its certificates; none for plain HTTP
	}
	order struct {
		Proxy   string        `json:",omitempty"` // call others by this HTTP proxy
		Trouble *demo.Trouble `json:",omitempty"` // misbehave so
	}
	answer struct {
		Address string `json:",omitempty"`
		Error   string `json:",omitempty"`
	}
)

// files are the paths of a certificate and its key.
type files struct{ Cert, Key string }

// runApplication serves until in ends, as it does when the stack is gone.
func runApplication(ctx context.Context, in io.Reader, out io.Writer) error {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	var s start
	if err := orders.Decode(&s); err != nil {
		return err
	}
	certificates, err := s.certificates()
	if err != nil {
		return err
	}
	a, err := demo.StartApplication(s.Name, certificates)
	if err != nil {
		return err
	}
	defer a.Close()
	if err := answers.Encode(answer{Address: a.Address()}); err != nil {
		return err
	}
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if o.Proxy != "" {
			a.Connect(o.Proxy)
		}
		var did answer
		if o.Trouble != nil {
			if err := a.Misbehave(ctx, *o.Trouble); err != nil {
				did.Error = err.Error()
			}
		}
		if err := answers.Encode(did); err != nil {
			return err
		}
	}
}

func (s *start) certificates() (*demo.Certificates, error) {
	if s.Good == (files{}) {
		return nil, nil
	}
	good, err := tls.LoadX509KeyPair(s.Good.Cert, s.Good.Key)
	if err != nil {
		return nil, err
	}
	bad, err := tls.LoadX509KeyPair(s.Bad.Cert, s.Bad.Key)
	return &demo.Certificates{Good: good, Bad: bad}, err
}

// application is a running one, as the stack sees it.
type application struct {
	*backends.Process
	address string
	orders  *json.Encoder
	in      io.Closer
	answers *bufio.Scanner
}

func startApplication(s start) (*application, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, applicationCommand)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = w
	p, err := backends.Spawn(s.Name, cmd)
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	a := &application{Process: p, orders: json.NewEncoder(in), in: in, answers: bufio.NewScanner(r)}
	go func() {
		<-p.Exited()
		r.Close()
	}()
	said, err := a.tell(s)
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("%s: %w\n%s", s.Name, err, p.Output())
	}
	a.address = said.Address
	return a, nil
}

// tell gives it an order, and waits until it is done.
func (a *application) tell(order any) (did answer, err error) {
	if err := a.orders.Encode(order); err != nil {
		return did, err
	}
	if !a.answers.Scan() {
		return did, errors.Join(errors.New("it has ended"), a.answers.Err())
	}
	if err := json.Unmarshal(a.answers.Bytes(), &did); err != nil {
		return did, err
	}
	if did.Error != "" {
		return did, errors.New(did.Error)
	}
	return did, nil
}

func (a *application) misbehave(t demo.Trouble) error {
	_, err := a.tell(order{Trouble: &t})
	return err
}

// signal sends it a signal, as SIGSTOP and SIGCONT.
func (a *application) signal(s syscall.Signal) error { return syscall.Kill(a.PID(), s) }
