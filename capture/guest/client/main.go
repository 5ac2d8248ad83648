// The client calls the function from core 0: first calls that are not recorded, then, told to go on,
// the recorded ones, each between a begin and an end marker.
//
// It knows no service: the calls come as lines of a file, one for each call, with method, encoded request
// and expected reply. The method HTTP sends the request as it is, head and body.
//
// It talks to the guest's init in lines: it says "warm" when it has done the first part and waits for
// a line, and says "done" at the end, or "error: ..." and stops.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
)

const patience = 3 * time.Minute

func markArm()
func markBegin()
func markEnd()
func markFinish()
func markStart()

func fail(format string, args ...interface{}) {
	fmt.Printf("error: "+format+"\n", args...)
	os.Exit(1)
}

// plain hands messages through as they are: they were encoded when the calls were made up.
type plain struct{}

func (plain) Name() string                            { return "proto" }
func (plain) Marshal(v interface{}) ([]byte, error)   { return *v.(*[]byte), nil }
func (plain) Unmarshal(b []byte, v interface{}) error { *v.(*[]byte) = b; return nil }

type call struct {
	method  string
	request []byte
	// Over HTTP: its method.
	verb string
	// "-": any, "*": any that is not empty, "=": this one.
	kind   byte
	expect []byte
	reply  []byte
}

func (c *call) right() bool {
	switch c.kind {
	case '-':
		return true
	case '*':
		return len(c.reply) > 0
	}
	return bytes.Equal(c.reply, c.expect)
}

func decode(text string) []byte {
	data, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "="))
	if err != nil {
		fail("%v", err)
	}
	return data
}

// caller calls the function and leaves the reply in the call.
type caller interface {
	// connect returns when the function listens; it may be called again to make a new connection.
	connect() error
	call(c *call) error
}

type overGRPC struct {
	address    string
	connection *grpc.ClientConn
}

func (g *overGRPC) connect() error {
	if g.connection != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	g.connection, err = grpc.DialContext(ctx, g.address, grpc.WithInsecure(), grpc.WithBlock())
	return err
}

func (g *overGRPC) call(c *call) error {
	return g.connection.Invoke(context.Background(), c.method, &c.request, &c.reply, grpc.ForceCodec(plain{}))
}

// overHTTP keeps one connection of HTTP/1.1 as long as the function does.
type overHTTP struct {
	address    string
	connection net.Conn
	replies    *bufio.Reader
}

func (h *overHTTP) connect() error {
	h.hangUp()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = h.dial(); err == nil {
			return nil
		}
	}
	return err
}

func (h *overHTTP) dial() error {
	connection, err := net.DialTimeout("tcp", h.address, patience)
	if err != nil {
		return err
	}
	h.connection, h.replies = connection, bufio.NewReader(connection)
	return nil
}

func (h *overHTTP) hangUp() {
	if h.connection != nil {
		h.connection.Close()
		h.connection = nil
	}
}

func (h *overHTTP) call(c *call) error {
	if h.connection == nil {
		if err := h.dial(); err != nil {
			return err
		}
	}
	if _, err := h.connection.Write(c.request); err != nil {
		return err
	}
	response, err := http.ReadResponse(h.replies, &http.Request{Method: c.verb})
	if err != nil {
		return err
	}
	c.reply, err = io.ReadAll(response.Body)
	response.Body.Close()
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("status %s: %.200q", response.Status, c.reply)
	}
	if response.Close || err != nil {
		h.hangUp()
	}
	return err
}

// read makes the calls of a file; equal lines share their bytes.
func read(name string) []call {
	text, err := os.ReadFile(name)
	if err != nil {
		fail("%v", err)
	}
	known := map[string]call{}
	var calls []call
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		made, ok := known[line]
		if !ok {
			words := strings.Split(line, " ")
			if len(words) != 3 {
				fail("not a call: %q", line)
			}
			made = call{method: words[0], request: decode(words[1]), kind: words[2][0]}
			if made.method == "HTTP" {
				made.verb = strings.SplitN(string(made.request), " ", 2)[0]
			}
			if made.kind == '=' {
				made.expect = decode(words[2])
			}
			known[line] = made
		}
		calls = append(calls, made)
	}
	return calls
}

func run(words []string, log string) {
	// A file and no pipe: the function keeps it open.
	file, err := os.Create(log)
	if err != nil {
		fail("%v", err)
	}
	command := exec.Command(words[0], words[1:]...)
	command.Stdout, command.Stderr = file, file
	err = command.Run()
	file.Close()
	if err != nil {
		said, _ := os.ReadFile(log)
		fail("%s: %v: %s", words[0], err, bytes.TrimSpace(said))
	}
}

// awaitListening asks often: the libraries' pauses between attempts grow to seconds.
func awaitListening(address string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		connection, err := net.DialTimeout("tcp", address, patience)
		if err == nil {
			connection.Close()
			return
		}
		if time.Now().After(deadline) {
			fail("the function does not listen on %s (127.0.0.1 alone would not do): %v", address, err)
		}
	}
}

func keep(file string, reply []byte) {
	if err := os.WriteFile(file, reply, 0o644); err != nil {
		fail("%v", err)
	}
}

func main() {
	address := flag.String("address", "10.0.0.2:50051", "where the function listens")
	file := flag.String("calls", "calls", "file of calls")
	before := flag.Int("before", 10, "calls before the pause")
	settle := flag.Int("settle", 5, "calls after the pause that are not recorded")
	recorded := flag.Int("recorded", 15, "recorded calls")
	firstReply := flag.String("first-reply", "", "file for the first reply")
	start := flag.String("start", "", "command that starts the function, which is recorded; its words have no spaces")
	startLog := flag.String("log", "/dev/null", "file for what that command and the function write")
	flag.Parse()

	calls := read(*file)
	if want := *before + *settle + *recorded; len(calls) != want {
		fail("%d calls in %s, not %d", len(calls), *file, want)
	}
	var function caller = &overGRPC{address: *address}
	if calls[0].method == "HTTP" {
		function = &overHTTP{address: *address}
	}
	connect := func() {
		if err := function.connect(); err != nil {
			fail("the function does not listen on %s (127.0.0.1 alone would not do): %v", *address, err)
		}
	}
	if *start == "" {
		connect()
	}

	next := 0
	var last *call
	invoke := func() {
		last = &calls[next]
		next++
		if err := function.call(last); err != nil {
			fail("call %d of %s failed: %v", next, last.method, err)
		}
	}
	check := func() {
		if !last.right() {
			fail("call %d of %s: the reply %q is not right", next, last.method, last.reply)
		}
	}

	for i := 0; i < *before; i++ {
		invoke()
		check()
		if i == 0 {
			keep(*firstReply, last.reply)
		}
	}
	// The client's own garbage collection would be no part of the function's trace.
	runtime.GC()
	debug.SetGCPercent(-1)
	fmt.Println("warm")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		fail("told nothing after the pause: %v", err)
	}
	started := time.Now()
	if *start != "" {
		markArm()
		markStart()
		run(strings.Fields(*start), *startLog)
		awaitListening(*address)
	}
	// Some functions hang up after a pause like this.
	connect()
	for i := 0; i < *settle; i++ {
		invoke()
		check()
	}
	if *start == "" {
		markArm()
	}
	for i := 0; i < *recorded; i++ {
		markBegin()
		invoke()
		markEnd()
	}
	markFinish()
	for i := next - *recorded; i < next; i++ {
		last = &calls[i]
		check()
	}
	if *before == 0 {
		keep(*firstReply, calls[0].reply)
	}
	if took := time.Since(started); *start == "" && took > time.Duration(*settle+*recorded)*time.Second {
		fail("the guest's clock jumped: %d calls took %v", *settle+*recorded, took)
	}
	fmt.Println("done")
}
