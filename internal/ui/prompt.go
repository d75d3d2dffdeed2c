package ui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"golang.org/x/term"
)

// maxAnswer bounds what is read for one question, in bytes.
const maxAnswer = 4096

// Confirm asks a yes-or-no question on Err and reads the answer from In; only y
// and yes agree. If questions may not be asked, it fails with a Problem whose next
// step is answered, the command with the flag that would have answered. It
// returns early if ctx ends; the read then goes on until the process ends,
// because a terminal cannot be interrupted.
func (s *Streams) Confirm(ctx context.Context, question, answered string) (bool, error) {
	answer, err := s.Ask(ctx, question+" [y/N]", answered)
	if err != nil {
		return false, err
	}
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", nil
}

// Ask asks for one line of text, trimmed; as Confirm it fails where questions
// may not be asked.
func (s *Streams) Ask(ctx context.Context, question, answered string) (string, error) {
	if !s.Prompts {
		return "", Problemf(UsageInputNotAllowed, "this needs an answer and nobody can be asked").
			Because("the question is: " + question).Try(answered)
	}
	s.mu.Lock()
	_, err := fmt.Fprintf(s.Err, "%s ", Escape(question))
	s.mu.Unlock()
	if err != nil {
		return "", err
	}
	answer := make(chan string, 1)
	go func() { // owned by this call; ends with the line or the process
		line, _ := bufio.NewReader(io.LimitReader(s.In, maxAnswer)).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case line := <-answer:
		return line, nil
	case <-ctx.Done():
		s.raw("\n") // what comes next begins a line of its own
		return "", context.Cause(ctx)
	}
}

// AskSecret asks for one line that does not show while it is typed, and has it
// redacted from then on; as Ask it fails where questions may not be asked.
func (s *Streams) AskSecret(ctx context.Context, question, answered string) (string, error) {
	in, terminal := s.In.(interface{ Fd() uintptr })
	if !s.Prompts || !terminal {
		return s.Ask(ctx, question, answered) // of no terminal nothing shows
	}
	fd := int(in.Fd())
	shown, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type reply struct {
		line []byte
		err  error
	}
	answer := make(chan reply, 1)
	go func() { // owned by this call; ends with the line or the process
		line, err := term.ReadPassword(fd)
		answer <- reply{line, err}
	}()
	awaitHidden(fd, shown) // whoever answers at once would be seen
	s.raw(Escape(question) + " ")
	select {
	case r := <-answer:
		s.raw("\n") // the one typed did not show
		text := strings.TrimSpace(string(r.line))
		s.Secrets.Add(text)
		if errors.Is(r.err, io.EOF) {
			r.err = nil // nothing more is typed, as Ask takes it
		}
		return text, r.err
	case <-ctx.Done():
		s.raw("\n")
		return "", errors.Join(context.Cause(ctx), term.Restore(fd, shown))
	}
}

// hideWithin is how long a terminal may take to stop showing what is typed.
const hideWithin = time.Second

// awaitHidden waits until a terminal has left the modes it had.
func awaitHidden(fd int, before *term.State) {
	tick, late := time.NewTicker(time.Millisecond), time.After(hideWithin)
	defer tick.Stop()
	for {
		if now, err := term.GetState(fd); err != nil || !reflect.DeepEqual(now, before) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			return
		}
	}
}
