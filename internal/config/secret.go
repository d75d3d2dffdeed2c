package config

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode"

	"github.com/zalando/go-keyring"
)

// Bounds on looking a secret up.
const (
	maxSecret     = 64 << 10
	secretTimeout = 10 * time.Second
)

// Secret is a value that prints as [redacted] wherever it is formatted or
// logged. Reveal gives the value itself.
type Secret struct{ value string }

// NewSecret wraps value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value, for the one place that needs it.
func (s Secret) Reveal() string { return s.value }

// String hides the value.
func (s Secret) String() string { return "[redacted]" }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the value from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Kind is how a Ref names its secret.
type Kind string

// The kinds of references.
const (
	Literal Kind = "literal" // the secret itself
	FromEnv Kind = "env"     // env:NAME, a variable
	Keyring Kind = "keyring" // keyring:NAME, the system keyring
	File    Kind = "file"    // file:PATH, a file only its owner can read
	Command Kind = "cmd"     // cmd:PROGRAM ARGS, the output of a program, no shell
	Stdin   Kind = "-"       // -, standard input
)

// Ref says where a secret is. The zero Ref says nothing and IsZero.
type Ref struct {
	kind Kind
	name string
}

// ParseRef reads a reference. Text that is none of env: keyring: file: cmd: or -
// is the secret itself. The empty text is the zero Ref.
func ParseRef(text string) Ref {
	if text == "" {
		return Ref{}
	}
	if text == "-" {
		return Ref{kind: Stdin}
	}
	prefix, name, ok := strings.Cut(text, ":")
	switch k := Kind(prefix); {
	case ok && (k == FromEnv || k == Keyring || k == File || k == Command):
		return Ref{kind: k, name: name}
	}
	return Ref{kind: Literal, name: text}
}

// IsZero reports whether r names nothing.
func (r Ref) IsZero() bool { return r.kind == "" }

// IsLiteral reports whether r holds the secret itself.
func (r Ref) IsLiteral() bool { return r.kind == Literal }

// String names the place, never the secret: a literal prints as [redacted]. The
// arguments of a command are left out, because they may hold one.
func (r Ref) String() string {
	switch r.kind {
	case "":
		return ""
	case Literal:
		return "[redacted]"
	case Stdin:
		return "-"
	case Command:
		program, _, more := strings.Cut(strings.TrimSpace(r.name), " ")
		if more {
			program += " …"
		}
		return "cmd:" + program
	}
	return string(r.kind) + ":" + r.name
}

// LogValue is String, so that a literal cannot be logged.
func (r Ref) LogValue() slog.Value { return slog.StringValue(r.String()) }

// source is the text ParseRef reads back to r, secret included. It is for
// writing the contexts file.
func (r Ref) source() string {
	switch r.kind {
	case "", Literal:
		return r.name
	case Stdin:
		return "-"
	}
	return string(r.kind) + ":" + r.name
}

// Lookup is what Ref.Resolve may use. A nil member makes that kind fail.
type Lookup struct {
	// Env gives environment variables; empty is unset.
	Env func(name string) string
	// Stdin is read once, to its end, for "-".
	Stdin io.Reader
	// Keyring gives the secret of an account of a service; keyring.ErrNotFound
	// of go-keyring, or any error that wraps os.ErrNotExist, means there is none.
	Keyring func(service, account string) (string, error)
	// Dir is where relative paths start and where commands run.
	Dir string
	// Environ is the environment of commands.
	Environ []string
}

// SystemKeyring asks the keyring of the operating system.
func SystemKeyring(service, account string) (string, error) {
	return keyring.Get(service, account)
}

// Resolve looks the secret up. It takes 10 s and 64 KiB at most; one line end at
// the end is dropped, because files and programs add one. Errors are *Error.
func (r Ref) Resolve(ctx context.Context, l Lookup) (Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	value, err := r.lookup(ctx, l)
	if err != nil {
		return Secret{}, r.failure(err)
	}
	if r.kind != Literal {
		value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	}
	if value == "" || len(value) > maxSecret {
		return Secret{}, r.failure(errUnusable)
	}
	return Secret{value}, nil
}

var (
	errUnusable = errors.New("it is empty, or longer than 64 KiB")
	errExposed  = errors.New("others can read it")
	errNotFile  = errors.New("not a regular file")
	errNoLookup = errors.New("cannot be used here")
)

func (r Ref) lookup(ctx context.Context, l Lookup) (string, error) {
	switch r.kind {
	case Literal:
		return r.name, nil
	case FromEnv:
		if l.Env == nil {
			return "", errNoLookup
		}
		return l.Env(r.name), nil
	case File:
		return readSecretFile(l.path(r.name))
	case Keyring:
		return askKeyring(ctx, l.Keyring, r.name)
	case Command:
		return runSecretCommand(ctx, l, r.name)
	case Stdin:
		if l.Stdin == nil {
			return "", errNoLookup
		}
		b, err := io.ReadAll(io.LimitReader(l.Stdin, maxSecret+1))
		return string(b), err
	}
	return "", errUnusable
}

// failure says of which reference the lookup failed, and why.
func (r Ref) failure(err error) *Error {
	e := &Error{Reason: SecretFailed, Text: "cannot read the secret " + r.String(), Detail: innermost(err),
		Hint: "pubsubctl help environment", Err: err} // which says what a reference may be
	if r.kind == Keyring { // the program it lacks is not one the user named
		e.Detail = "the system keyring: " + err.Error()
	}
	switch {
	case r.IsZero():
		e.Reason, e.Text, e.Detail = SecretMissing, "a secret is empty", "is a variable not set?"
	case r.kind == Stdin && errors.Is(err, errUnusable):
		e.Reason, e.Text = SecretMissing, "there is no usable secret on stdin"
	case errors.Is(err, errUnusable), errors.Is(err, os.ErrNotExist), errors.Is(err, keyring.ErrNotFound):
		e.Reason, e.Text, e.Detail = SecretMissing, "the secret "+r.String()+" is not there, or is empty", ""
		switch {
		case r.kind == FromEnv:
			e.Hint = "export " + r.name + "=VALUE"
		case r.kind == File && errors.Is(err, os.ErrNotExist) && !needsQuotes(r.name):
			e.Hint = "(umask 077 && cat > " + r.name + ")"
		}
	case errors.Is(err, errExposed):
		e.Reason, e.Text, e.Detail = SecretExposed, "other users can read the secret "+r.String(), ""
		e.Hint = "chmod 600 " + r.name
	case errors.Is(err, context.DeadlineExceeded):
		e.Text, e.Detail = "the secret "+r.String()+" did not come within "+secretTimeout.String(), ""
	}
	return e
}

// needsQuotes reports whether a path is not one word of a shell as it is.
func needsQuotes(path string) bool {
	return strings.ContainsFunc(path, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("/._-~+=@:", c)
	})
}

// innermost is the text of the innermost error: without the program or the
// address, which the reference names already.
func innermost(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

// path makes name absolute: ~ is the home directory, the rest starts at Dir.
func (l Lookup) path(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok && l.Env != nil {
		return filepath.Join(l.Env("HOME"), rest)
	}
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(l.Dir, name)
}

func readSecretFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errNotFile
	}
	if Exposed(info.Mode()) {
		return "", errExposed
	}
	return readBounded(path, maxSecret)
}

// Exposed reports whether a file of mode m can be used by others than its owner.
// On Windows the mode says nothing about that, and no file counts as exposed.
func Exposed(m os.FileMode) bool {
	return runtime.GOOS != "windows" && m.Perm()&0o077 != 0
}

// readBounded reads a file of at most limit bytes; of a longer one it returns
// one byte more, which callers take for too long.
func readBounded(path string, limit int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	return string(b), err
}

// askKeyring splits name as SERVICE/ACCOUNT; a name without a slash is an
// account of the service pubsubctl. The keyring's client cannot be interrupted,
// so past the deadline its goroutine is left to end with the answer or the process.
func askKeyring(ctx context.Context, ask func(service, account string) (string, error), name string) (string, error) {
	if ask == nil {
		return "", errNoLookup
	}
	service, account, ok := strings.Cut(name, "/")
	if !ok {
		service, account = "pubsubctl", name
	}
	type answer struct {
		value string
		err   error
	}
	got := make(chan answer, 1)
	go func() { // owned by this call; ends when the keyring answers
		value, err := ask(service, account)
		got <- answer{value, err}
	}()
	select {
	case a := <-got:
		return a.value, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// runSecretCommand runs line without a shell and takes its stdout. Its stderr is
// dropped, because nothing is known about what it holds.
func runSecretCommand(ctx context.Context, l Lookup, line string) (string, error) {
	words, err := SplitWords(line)
	if err != nil {
		return "", err
	}
	if len(words) == 0 {
		return "", errUnusable
	}
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Dir, c.Env, c.WaitDelay = l.Dir, l.Environ, time.Second
	var out limited
	c.Stdout = &out
	err = c.Run()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return out.String(), err
}

// limited keeps the first bytes written to it, one more than a secret may have,
// and takes the rest without keeping it.
type limited struct{ strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	room := max(0, maxSecret+1-l.Len())
	l.Builder.Write(p[:min(len(p), room)])
	return len(p), nil
}

var errQuote = errors.New("a quote is not closed")

// SplitWords splits a command line at white space. Single and double quotes
// hold a word together and are dropped; nothing else is special, in particular
// no backslash, variable or wildcard.
func SplitWords(line string) ([]string, error) {
	var words []string
	var word []rune
	quote, inWord := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word = append(word, r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t':
			if inWord {
				words, word, inWord = append(words, string(word)), nil, false
			}
		default:
			word, inWord = append(word, r), true
		}
	}
	if quote != 0 {
		return nil, errQuote
	}
	if inWord {
		words = append(words, string(word))
	}
	return words, nil
}
