package cmd

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// typing is a person at a keyboard: each read gives one line, as a terminal does.
type typing struct{ lines []string }

func (p *typing) Read(b []byte) (int, error) {
	if len(p.lines) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.lines[0]+"\n")
	p.lines = p.lines[1:]
	return n, nil
}

// asked runs a command line with a person who answers its questions.
func (h *hostedService) asked(t *testing.T, answers []string, args ...string) (code int, said string) {
	t.Helper()
	var out bytes.Buffer
	errs := newWatched()
	s := ui.Buffers(ui.EnvOf(h.environ), &typing{answers}, &out, errs)
	s.Prompts = true
	code = Run(context.WithoutCancel(t.Context()), Invocation{Args: args, Environ: h.environ, Dir: h.home, Streams: s, Now: h.now})
	said, _ = errs.look()
	return code, out.String() + said
}

// TestS49NoSecretOfAWholeLifeShows: from setup, with a token that is made after a
// password, through keys, tokens and messages to teardown, everything said, logged
// and written is searched for every secret there was.
func TestS49NoSecretOfAWholeLifeShows(t *testing.T) {
	t.Setenv("FASTLY_DEBUG_MODE", "true") // the library prints bodies then, if it is let
	const apiToken, password, code = "api-token-planted-secret", "password-planted-secret", "123456-planted"
	h := ready(t, fastlytest.Options{Password: password, OTP: code})
	h.fake.AddToken(fastlytest.Token{ID: "planted", Value: apiToken})
	h.setenv("FASTLY_API_TOKEN", apiToken)
	h.setenv("PUBSUBCTL_YES", "")
	secrets := map[string]bool{apiToken: true, password: true, code: true}
	collect := func() { // the values that the account has, by now
		a := h.fake.Snapshot()
		for _, tok := range a.Tokens {
			secrets[tok.Value] = len(tok.Value) > 8
		}
		for _, store := range a.KVStores {
			for id, item := range store.Items {
				if strings.HasSuffix(store.Name, "_keys") && id != "" {
					secrets[string(item.Value)] = true
				}
			}
		}
	}
	args := []string{"setup", "--name", "chat", "--package", "app.tar.gz", "--app-url", h.relay.Ready().Hub, "-vv"}
	exit, said := h.asked(t, []string{"y", fastlytest.DefaultLogin, password, code}, args...)
	if exit != 0 || !strings.Contains(said, "made, encrypted and stored") {
		t.Fatalf("setup exits %d: %s", exit, said)
	}
	collect()
	h.setenv("PUBSUBCTL_YES", "true")
	for _, args := range [][]string{
		{"setup", "--log-format", "json"}, {"setup", "--json"}, {"status"}, {"status", "--json"}, {"doctor", "--deep"}, {"doctor", "--json"},
		{"publish", "test", "hello"}, {"publish", "test", "kept", "--retain", "--json"}, {"key", "list"}, {"key", "create", "--save"}, {"key", "rotate"},
		{"setup"}, {"context", "show", "--resolved"}, {"teardown", "--dry-run"}, {"teardown"}, {"teardown", "--json"}, {"status"},
	} {
		exit, out, errs := h.run(t, append(args, "-vv")...)
		if exit != 0 && args[0] != "status" {
			t.Fatalf("%q: exit %d: %s", args, exit, errs)
		}
		if args[0] == "key" && args[1] != "list" {
			out = "" // its purpose is to print the key
		}
		said += out + errs
		collect()
	}
	if len(secrets) < 8 || !strings.Contains(said, "/sudo") || !strings.Contains(said, "/tokens/self") {
		t.Fatalf("%d secrets; nothing was logged, so nothing is proven", len(secrets))
	}
	for secret, planted := range secrets {
		if planted && strings.Contains(said, secret) {
			t.Errorf("%.12s... is said", secret)
		}
	}
	h.searchHome(t, secrets)
}

// searchHome looks into every file for secrets, and at who can read it. Only the
// files that hold one key each may have one.
func (h *hostedService) searchHome(t *testing.T, secrets map[string]bool) {
	t.Helper()
	keys := 0
	err := filepath.WalkDir(filepath.Join(h.home, "pubsubctl"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[e.IsDir()]; err == nil && runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		if err != nil || e.IsDir() {
			return err
		}
		if filepath.Base(filepath.Dir(path)) == "secrets" {
			keys++
			return nil
		}
		text, err := os.ReadFile(path)
		for secret, planted := range secrets {
			if planted && bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s has %.12s...", path, secret)
			}
		}
		return err
	})
	if err != nil || keys == 0 {
		t.Errorf("%d files with keys, %v", keys, err)
	}
}

// TestSetupAsksForAToken: it is pasted with a line end, or made after a login; who
// gives none is told where to get one.
func TestSetupAsksForAToken(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []string
		code    int
		says    string
	}{
		{"pasted", []string{"", hostedPublishToken + "\r"}, 0, "encrypted and stored"},
		{"made", []string{fastlytest.DefaultLogin, fastlytest.DefaultPassword, ""}, 0, "made, encrypted and stored"},
		{"a wrong password", []string{fastlytest.DefaultLogin, "guess", ""}, 9, "the login is not accepted"},
		{"none", []string{"", ""}, 9, "https://manage.fastly.com/account/tokens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := ready(t, fastlytest.Options{})
			args := []string{"setup", "--name", "chat", "--package", "app.tar.gz", "--app-url", h.relay.Ready().Hub}
			code, said := h.asked(t, c.answers, args...)
			if code != c.code || !strings.Contains(said, c.says) {
				t.Fatalf("exit %d: %s", code, said)
			}
			if code == 9 { // the command it names goes on from there
				if next := nextCommand(said); strings.Contains(next, "env:PUBLISH_TOKEN") {
					runFix(t, h, next)
				} else {
					runFix(t, h, next+" --publish-token env:PUBLISH_TOKEN")
				}
			}
			h.complete(t)
		})
	}
}

// TestTokenThatWasLostIsRevoked: of a token whose answer got lost nothing stays.
func TestTokenThatWasLostIsRevoked(t *testing.T) {
	h := ready(t, fastlytest.Options{})
	if err := h.fake.Fault(fastlytest.Fault{Match: fastlytest.Match{Method: "POST", Path: "^/automation-tokens$"}, Kind: fastlytest.AfterEffect}); err != nil {
		t.Fatal(err)
	}
	args := []string{"setup", "--name", "chat", "--package", "app.tar.gz", "--app-url", h.relay.Ready().Hub}
	if code, said := h.asked(t, []string{fastlytest.DefaultLogin, fastlytest.DefaultPassword, ""}, args...); code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	made := 0
	for _, tok := range h.fake.Snapshot().Tokens {
		if strings.HasPrefix(tok.Name, "pubsubctl publish-token ") {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d tokens of setup's name", made)
	}
}
