package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestMain lets the test binary stand in for the programs of cmd: references.
func TestMain(m *testing.M) {
	switch os.Getenv("CONFIG_TEST_PROGRAM") {
	case "print":
		fmt.Printf("%s\n", strings.Join(os.Args[1:], "|"))
		os.Exit(0)
	case "fail":
		fmt.Fprint(os.Stderr, "the secret is s3cret")
		os.Exit(3)
	case "flood":
		fmt.Print(strings.Repeat("x", 2*maxSecret))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program makes the lookup and the text of a cmd: reference to this binary.
func program(t *testing.T, what string, args string) (Ref, Lookup) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return ParseRef("cmd:'" + self + "' " + args), Lookup{Environ: []string{"CONFIG_TEST_PROGRAM=" + what}}
}

func TestResolveReferences(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "key"), "from file\r\n", 0o600)
	look := Lookup{
		Env:   func(name string) string { return map[string]string{"A": "from env", "HOME": dir}[name] },
		Stdin: strings.NewReader("from stdin\n\n"),
		Dir:   dir,
		Keyring: func(service, account string) (string, error) {
			return service + " holds " + account, nil
		},
	}
	for _, c := range []struct{ rule, ref, want string }{
		{"a literal is itself", "plain\n", "plain\n"},
		{"an unknown prefix is a literal", "https://x", "https://x"},
		{"a variable", "env:A", "from env"},
		{"a relative file", "file:key", "from file"},
		{"a file at home", "file:~/key", "from file"},
		{"an absolute file", "file:" + filepath.Join(dir, "key"), "from file"},
		{"the keyring of pubsubctl", "keyring:ab12", "pubsubctl holds ab12"},
		{"a keyring service", "keyring:pubsubctl/chat/ab12", "pubsubctl holds chat/ab12"},
		{"stdin, one line end dropped", "-", "from stdin\n"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got, err := ParseRef(c.ref).Resolve(t.Context(), look)
			if err != nil || got.Reveal() != c.want {
				t.Errorf("got %q, %v", got.Reveal(), err)
			}
		})
	}
}

func TestCommandReference(t *testing.T) {
	ref, look := program(t, "print", `one "two three" $HOME *`)
	got, err := ref.Resolve(t.Context(), look)
	if want := "one|two three|$HOME|*"; err != nil || got.Reveal() != want {
		t.Errorf("got %q, %v; want %q, because there is no shell", got.Reveal(), err, want)
	}
}

func TestReferencesThatFail(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "open"), "s3cret", 0o644)
	write(t, filepath.Join(dir, "empty"), "\n", 0o600)
	write(t, filepath.Join(dir, "huge"), strings.Repeat("x", maxSecret+2), 0o600)
	look := Lookup{
		Env: func(string) string { return "" }, Dir: dir,
		Keyring: func(_, account string) (string, error) {
			if account == "none" {
				return "", os.ErrNotExist
			}
			return "", errors.New("locked")
		},
	}
	fails, environ := program(t, "fail", "")
	floods, flood := program(t, "flood", "")
	for _, c := range []struct {
		rule   string
		ref    Ref
		look   Lookup
		reason Reason
	}{
		{"an unset variable", ParseRef("env:NIX"), look, SecretMissing},
		{"a missing file", ParseRef("file:nix"), look, SecretMissing},
		{"an empty file", ParseRef("file:empty"), look, SecretMissing},
		{"a huge file", ParseRef("file:huge"), look, SecretMissing},
		{"a directory", ParseRef("file:."), look, SecretFailed},
		{"a file others can read", ParseRef("file:open"), look, SecretExposed},
		{"no such keyring entry", ParseRef("keyring:none"), look, SecretMissing},
		{"a locked keyring", ParseRef("keyring:x"), look, SecretFailed},
		{"no keyring at all", ParseRef("keyring:x"), Lookup{}, SecretFailed},
		{"no stdin", ParseRef("-"), look, SecretFailed},
		{"a program that fails", fails, environ, SecretFailed},
		{"a program that floods", floods, flood, SecretMissing},
		{"no such program", ParseRef("cmd:no-such-program-here"), look, SecretFailed},
		{"an open quote", ParseRef("cmd:'x"), look, SecretFailed},
		{"no program", ParseRef("cmd: "), look, SecretMissing},
		{"nothing", Ref{}, look, SecretMissing},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if runtime.GOOS == "windows" && c.reason == SecretExposed {
				t.Skip("modes say nothing here")
			}
			_, err := c.ref.Resolve(t.Context(), c.look)
			var e *Error
			if !errors.As(err, &e) || e.Reason != c.reason {
				t.Fatalf("got %v, want %s", err, c.reason)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the secret is in %q", err)
			}
		})
	}
}

func TestKeyringThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		look := Lookup{Keyring: func(string, string) (string, error) { <-release; return "late", nil }}
		start := time.Now()
		_, err := ParseRef("keyring:x").Resolve(t.Context(), look)
		var e *Error
		if !errors.As(err, &e) || e.Reason != SecretFailed || time.Since(start) != secretTimeout {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		close(release)
	})
}

func TestSecretsDoNotPrint(t *testing.T) {
	s, ref := NewSecret("s3cret"), ParseRef("s3cret")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "a", s, "b", ref)
	b, err := json.Marshal(map[string]any{"a": s})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %v", s, s, s, s, ref) + log.String() + string(b)
	if strings.Contains(all, "s3cret") {
		t.Errorf("the secret is in %s", all)
	}
	if got := ParseRef("cmd:pass show s3cret").String(); strings.Contains(got, "s3cret") || !strings.Contains(got, "pass") {
		t.Errorf("a command prints as %q", got)
	}
}

func TestSplitWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                   nil,
		"  a  b\t":           {"a", "b"},
		`a 'b c' "d 'e'"`:    {"a", "b c", "d 'e'"},
		`a''b "" c`:          {"ab", "", "c"},
		`back\slash $x *.go`: {`back\slash`, "$x", "*.go"},
	} {
		if got, err := SplitWords(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q gives %q, %v; want %q", line, got, err, want)
		}
	}
	if _, err := SplitWords(`a "b`); err == nil {
		t.Error("an open quote is taken")
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

func TestFailedLookupSaysWhy(t *testing.T) {
	broken := func(string, string) (string, error) {
		return "", &exec.Error{Name: "dbus-launch", Err: exec.ErrNotFound}
	}
	for ref, want := range map[string]Error{
		"keyring:a": {Text: "cannot read the secret keyring:a", Detail: `the system keyring: exec: "dbus-launch": ` + exec.ErrNotFound.Error(), Hint: "pubsubctl help environment"},
		"env:A":     {Text: "the secret env:A is not there, or is empty", Hint: "export A=VALUE"},
		"file:no/a": {Text: "the secret file:no/a is not there, or is empty", Hint: "(umask 077 && cat > no/a)"},
		"file:n a":  {Text: "the secret file:n a is not there, or is empty", Hint: "pubsubctl help environment"},
		"":          {Text: "a secret is empty", Detail: "is a variable not set?", Hint: "pubsubctl help environment"},
	} {
		_, err := ParseRef(ref).Resolve(t.Context(), Lookup{Env: func(string) string { return "" }, Keyring: broken})
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Text != want.Text || e.Detail != want.Detail || e.Hint != want.Hint {
			t.Errorf("%q: %+v, want %+v", ref, e, want)
		}
	}
}
