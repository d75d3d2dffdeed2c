package config

import "fmt"

// Reason tells kinds of configuration errors apart.
type Reason string

// The reasons an Error can have.
const (
	Unreadable      Reason = "unreadable"        // a file cannot be read or written
	Syntax          Reason = "syntax"            // not TOML
	UnknownKey      Reason = "unknown_key"       // a key that means nothing
	BadValue        Reason = "bad_value"         // a value that is not taken
	UnknownContext  Reason = "unknown_context"   // no context of this name
	NotEditable     Reason = "not_editable"      // cannot be changed without touching more
	SecretInProject Reason = "secret_in_project" // a project file with a secret
	Redirected      Reason = "redirected"        // a project file sends credentials elsewhere
	SecretMissing   Reason = "secret_missing"    // the reference names nothing, or nothing usable
	SecretExposed   Reason = "secret_exposed"    // a secret file that others can read
	SecretFailed    Reason = "secret_failed"     // the lookup itself broke
	SecretLiteral   Reason = "secret_literal"    // a secret where only a reference may be
)

// Error is every error of this package that a user can put right. It never
// holds a secret.
type Error struct {
	Reason Reason
	// File and Line say where, if it is in a file; Line counts from 1, 0 if unknown.
	File string
	Line int
	// Text is the plain sentence.
	Text string
	// Detail is the evidence, if there is more to say than Text does.
	Detail string
	// Hint is a command that helps, or empty.
	Hint string
	// Err is the cause underneath, or nil.
	Err error
}

// Error gives the place, if any, and the sentence.
func (e *Error) Error() string {
	if at := e.Place(); at != "" {
		return at + ": " + e.Text
	}
	return e.Text
}

// Place is FILE or FILE:LINE, or empty.
func (e *Error) Place() string {
	if e.File == "" || e.Line == 0 {
		return e.File
	}
	return fmt.Sprintf("%s:%d", e.File, e.Line)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
