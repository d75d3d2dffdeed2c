package cmd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// mainThatFetches is the program "fetch URL [READYFILE] [HEADER: VALUE]...": it
// prints the body as it comes, and the status on stderr. READYFILE, "-" for none,
// appears with the answer's head, which for a held stream is when it is held.
func mainThatFetches() int {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	if err := fetch(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func fetch(ctx context.Context, args []string) error {
	method, body := http.MethodGet, io.Reader(nil)
	if post := os.Getenv("FETCH_POST"); post != "" {
		method, body = http.MethodPost, strings.NewReader(post)
	}
	r, err := http.NewRequestWithContext(ctx, method, args[0], body)
	if err != nil {
		return err
	}
	for _, head := range args[min(2, len(args)):] {
		name, value, _ := strings.Cut(head, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Fprintln(os.Stderr, resp.Status)
	if len(args) > 1 && args[1] != "-" {
		if err := os.WriteFile(args[1], nil, 0o600); err != nil {
			return err
		}
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// scriptAwaitLine is "awaitline FILE REGEXP [NAME]": wait until a line of the file
// matches, and set a variable to what the first parentheses hold.
func scriptAwaitLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: awaitline FILE REGEXP [NAME]")
	}
	read := func() []byte {
		text, _ := os.ReadFile(ts.MkAbs(args[0])) // it may not be there yet
		return text[:bytes.LastIndexByte(text, '\n')+1]
	}
	m := awaitMatch(ts, args[0], args[1], read)
	if len(args) == 3 {
		ts.Setenv(args[2], string(m[1]))
	}
}

// scriptAwaitAnswer is "awaitanswer URL REGEXP": ask until a line of the answer
// matches.
func scriptAwaitAnswer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: awaitanswer URL REGEXP")
	}
	awaitMatch(ts, args[0], args[1], func() []byte {
		ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
		ts.Check(err)
		resp, err := http.DefaultClient.Do(r)
		ts.Check(err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		ts.Check(err)
		return text
	})
}

// awaitMatch reads again and again until a line matches.
func awaitMatch(ts *testscript.TestScript, name, pattern string, read func() []byte) [][]byte {
	line, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	look, late := time.NewTicker(5*time.Millisecond), time.After(waitLimit)
	defer look.Stop()
	for {
		text := read()
		if m := line.FindSubmatch(text); m != nil {
			return m
		}
		select {
		case <-look.C:
		case <-late:
			ts.Fatalf("no line of %s matches %s: %s", name, pattern, text)
		}
	}
}
