// The client calls the function from core 0: first calls that are not recorded, then, told to go on,
// the recorded ones, each between a begin and an end marker.
//
// It knows no service: the calls come as lines of a file, one for each call, with method, encoded request
// and expected reply.
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
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
)

func markArm()
func markBegin()
func markEnd()
func markFinish()

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
			if made.kind == '=' {
				made.expect = decode(words[2])
			}
			known[line] = made
		}
		calls = append(calls, made)
	}
	return calls
}

func main() {
	address := flag.String("address", "10.0.0.2:50051", "where the function listens")
	file := flag.String("calls", "calls", "file of calls")
	before := flag.Int("before", 10, "calls before the pause")
	settle := flag.Int("settle", 5, "calls after the pause that are not recorded")
	recorded := flag.Int("recorded", 15, "recorded calls")
	flag.Parse()

	connectContext, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	connection, err := grpc.DialContext(connectContext, *address, grpc.WithInsecure(), grpc.WithBlock())
	if err != nil {
		fail("the function does not listen on %s: %v", *address, err)
	}

	calls := read(*file)
	if want := *before + *settle + *recorded; len(calls) != want {
		fail("%d calls in %s, not %d", len(calls), *file, want)
	}
	next := 0
	var last *call
	invoke := func() {
		last = &calls[next]
		next++
		if err := connection.Invoke(context.Background(), last.method, &last.request, &last.reply, grpc.ForceCodec(plain{})); err != nil {
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
	}
	// The client's own garbage collection would be no part of the function's trace.
	runtime.GC()
	debug.SetGCPercent(-1)
	fmt.Println("warm")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		fail("told nothing after the pause: %v", err)
	}
	started := time.Now()
	for i := 0; i < *settle; i++ {
		invoke()
		check()
	}
	markArm()
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
	if took := time.Since(started); took > time.Duration(*settle+*recorded)*time.Second {
		fail("the guest's clock jumped: %d calls took %v", *settle+*recorded, took)
	}
	fmt.Println("done")
}
