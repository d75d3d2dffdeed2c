package ui

// What a printed problem promises:
//   - three lines at most: what went wrong, the evidence, a command that helps;
//   - one plain sentence each, escaped and redacted, no wrapped chain;
//   - under --json one object on one line instead, with a code that is stable.

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Problem is an error with advice, attached where the remedy is known and
// printed in one place only. Code and Err are required.
type Problem struct {
	Code Code
	// Err is what went wrong: a lower-case sentence without a final dot.
	Err error
	// Why is the evidence seen (a status, a text, a claim, a host); empty if unknown.
	Why string
	// Next is a command that can be pasted; empty if none is known to help.
	Next string
	// Chain is the error underneath, for -vv and logs; nil if there is none.
	// It is what errors.Is and errors.As see besides Err.
	Chain error
}

// Problemf makes a Problem whose sentence is text.
func Problemf(code Code, text string) Problem {
	return Problem{Code: code, Err: errors.New(text)}
}

// Because returns p with the evidence why.
func (p Problem) Because(why string) Problem { p.Why = why; return p }

// Try returns p with the command next.
func (p Problem) Try(next string) Problem { p.Next = next; return p }

// From returns p with the underlying error chain.
func (p Problem) From(chain error) Problem { p.Chain = chain; return p }

// Error is the sentence of the problem.
func (p Problem) Error() string {
	if p.Err == nil {
		return string(p.Code)
	}
	return p.Err.Error()
}

// Unwrap gives both the sentence's error and the chain underneath.
func (p Problem) Unwrap() []error {
	var errs []error
	for _, err := range []error{p.Err, p.Chain} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Exit is the exit code of the problem.
func (p Problem) Exit() Exit { return p.Code.Info().Exit }

// clean is p with every text escaped, redacted and on one line.
func (p Problem) clean(known *Secrets) (text, why, next string) {
	tidy := func(s string) string { return Escape(known.Redact(strings.TrimSpace(s))) }
	return tidy(p.Error()), tidy(p.Why), tidy(p.Next)
}

// PrintText writes p as up to three lines; mark is put before the first and is
// "error:", coloured or not.
func (p Problem) PrintText(w io.Writer, mark string, known *Secrets) error {
	text, why, next := p.clean(known)
	out := mark + " " + text + "\n"
	if why != "" {
		out += "  why:  " + why + "\n"
	}
	if next != "" {
		out += "  next: " + next + "\n"
	}
	_, err := io.WriteString(w, out)
	return err
}

type problemJSON struct {
	Code      Code     `json:"code"`
	Category  Category `json:"category"`
	Message   string   `json:"message"`
	Why       string   `json:"why,omitempty"`
	Hint      string   `json:"hint,omitempty"`
	ExitCode  int      `json:"exit_code"`
	Retryable bool     `json:"retryable"`
}

// PrintJSON writes p as one JSON object on one line.
func (p Problem) PrintJSON(w io.Writer, known *Secrets) error {
	text, why, next := p.clean(known)
	info := p.Code.Info()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(map[string]problemJSON{"error": {
		Code: p.Code, Category: p.Code.Category(), Message: text, Why: why, Hint: next,
		ExitCode: int(info.Exit), Retryable: info.Retryable,
	}})
}
