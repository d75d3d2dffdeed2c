package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

const sample = `# my services
version = 1
current = "chat"

# the chat
[contexts.chat]
url        = "https://chat-x7.edgecompute.app"   # production
service_id = "SU1Z0isxPaozGVKXdv0eY"
api_token  = "env:FASTLY_API_TOKEN"
key        = { id = "ab12cd34", secret = "keyring:pubsubctl/chat/ab12cd34" }
protected  = true

[contexts."a.b"]
url = "http://127.0.0.1:1"
`

func TestReadContexts(t *testing.T) {
	c, err := parseContexts("config.toml", sample)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Names(); !slices.Equal(got, []string{"a.b", "chat", "local"}) {
		t.Errorf("names %q", got)
	}
	chat, ok := c.Get("chat")
	want := Context{URL: "https://chat-x7.edgecompute.app", ServiceID: "SU1Z0isxPaozGVKXdv0eY", APIToken: ParseRef("env:FASTLY_API_TOKEN"),
		Key: Key{ID: "ab12cd34", Secret: ParseRef("keyring:pubsubctl/chat/ab12cd34")}, Protected: true}
	if !ok || chat != want {
		t.Errorf("got %+v", chat)
	}
	local, ok := c.Get(Local)
	if !ok || local.URL != "http://127.0.0.1:7999" || local.Key.ID != "test" || c.Saved(Local) {
		t.Errorf("the built-in context is %+v", local)
	}
	if _, ok := c.Get("nope"); ok || c.Selected() != "chat" {
		t.Error("contexts are mixed up")
	}
}

func TestMissingFileIsEmpty(t *testing.T) {
	c, err := ReadContexts(filepath.Join(t.TempDir(), "none.toml"))
	if err != nil || c.Selected() != Local || len(c.Names()) != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		rule, text string
		reason     Reason
		line       int
	}{
		{"not TOML", "version = 1\n= x\n", Syntax, 2},
		{"a wrong type", "version = 1\n[contexts.a]\nurl = 7\n", BadValue, 3},
		{"an unknown key", "version = 1\n\ncurrnt = \"x\"\n", UnknownKey, 3},
		{"an unknown key of a context", "[contexts.a]\nurl = \"http://x\"\nurk = 1\n", UnknownKey, 3},
		{"an unknown key of a key", "[contexts.a]\nkey = { id = \"a\", secret = \"b\", x = 1 }\n", UnknownKey, 2},
		{"an unknown table", "[context.a]\nurl = \"x\"\n", UnknownKey, 1},
		{"another version", "version = 2\n", BadValue, 1},
		{"an address without scheme", "[contexts.a]\nurl = \"chat.example\"\n", BadValue, 2},
		{"an address with credentials", "[contexts.a]\nurl = \"http://u:s3cret@h\"\n", BadValue, 2},
		{"half a key", "[contexts.a]\nkey = { id = \"a\" }\n", BadValue, 2},
		{"a literal API token", "[contexts.a]\n# c\napi_token = \"s3cret\"\n", SecretLiteral, 3},
	} {
		t.Run(c.rule, func(t *testing.T) {
			_, err := parseContexts("config.toml", c.text)
			var e *Error
			if !errors.As(err, &e) || e.Reason != c.reason || e.Line != c.line || e.File != "config.toml" {
				t.Fatalf("got %+v, want %s in line %d", err, c.reason, c.line)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the secret is in %q", err)
			}
		})
	}
}

func TestSyntaxErrorsDoNotQuoteTheLine(t *testing.T) {
	_, err := parseContexts("c", "[contexts.a]\ntoken = s3cret\n")
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

func TestHugeFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	write(t, path, strings.Repeat("#", maxFile+1), 0o600)
	var e *Error
	if _, err := ReadContexts(path); !errors.As(err, &e) || e.Reason != Unreadable {
		t.Errorf("got %v", err)
	}
}

func TestExposedFileWithSecretIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing here")
	}
	path := filepath.Join(t.TempDir(), "c.toml")
	write(t, path, "[contexts.a]\nkey = { id = \"a\", secret = \"literal\" }\n", 0o644)
	var e *Error
	if _, err := ReadContexts(path); !errors.As(err, &e) || e.Reason != SecretExposed {
		t.Errorf("got %v", err)
	}
	write(t, path, sample, 0o644)
	if _, err := ReadContexts(path); err != nil {
		t.Errorf("references only: %v", err)
	}
}

func TestDefaultPath(t *testing.T) {
	abs := filepath.Join(t.TempDir(), "x")
	for _, c := range []struct {
		goos string
		env  map[string]string
		want string
	}{
		{"linux", map[string]string{"HOME": "/h"}, filepath.Join("/h", ".config", "pubsubctl", "config.toml")},
		{"linux", map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": abs}, filepath.Join(abs, "pubsubctl", "config.toml")},
		{"linux", map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "relative"}, filepath.Join("/h", ".config", "pubsubctl", "config.toml")},
		{"darwin", map[string]string{"HOME": "/h"}, filepath.Join("/h", "Library", "Application Support", "pubsubctl", "config.toml")},
		{"windows", map[string]string{"AppData": abs}, filepath.Join(abs, "pubsubctl", "config.toml")},
		{"linux", nil, ""},
	} {
		if got := DefaultPath(c.goos, func(n string) string { return c.env[n] }); got != c.want {
			t.Errorf("%s %v: got %q, want %q", c.goos, c.env, got, c.want)
		}
	}
}

func TestPutChangesOnlyItsTable(t *testing.T) {
	c := onDisk(t, sample)
	chat, _ := c.Get("chat")
	chat.ServiceID, chat.Protected, chat.FastlyKey = "other", false, ParseRef("env:FK")
	if err := c.Put("chat", chat); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(sample, `service_id = "SU1Z0isxPaozGVKXdv0eY"`, `service_id = "other"`, 1)
	want = strings.Replace(want, "protected  = true\n", "fastly_key = \"env:FK\"\n", 1)
	wantFile(t, c, want)
}

func TestPutAddsATableAtTheEnd(t *testing.T) {
	c := onDisk(t, strings.TrimSuffix(sample, "\n"))
	if err := c.Put("new", Context{URL: "http://h", Key: Key{"i\"d", ParseRef(`a\b`)}}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, c, sample+"\n[contexts.new]\nurl = \"http://h\"\nkey = { id = \"i\\\"d\", secret = \"a\\\\b\" }\n")
}

func TestPutMakesAPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "config.toml")
	c, err := ReadContexts(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Put("a", Context{URL: "http://h"}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, c, "version = 1\n\n[contexts.a]\nurl = \"http://h\"\n")
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(p)
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v", p, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".config*.new")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

func TestUse(t *testing.T) {
	c := onDisk(t, sample)
	if err := c.Use("a.b"); err != nil {
		t.Fatal(err)
	}
	wantFile(t, c, strings.Replace(sample, `current = "chat"`, `current = "a.b"`, 1))
	c = onDisk(t, "# only\nversion = 1\n[contexts.x]\n")
	if err := c.Use("x"); err != nil {
		t.Fatal(err)
	}
	wantFile(t, c, "# only\nversion = 1\ncurrent = \"x\"\n[contexts.x]\n")
	var e *Error
	if err := c.Use("y"); !errors.As(err, &e) || e.Reason != UnknownContext {
		t.Errorf("got %v", err)
	}
}

func TestDelete(t *testing.T) {
	c := onDisk(t, sample)
	if err := c.Delete("chat"); err != nil {
		t.Fatal(err)
	}
	wantFile(t, c, "# my services\nversion = 1\ncurrent = \"local\"\n\n# the chat\n\n[contexts.\"a.b\"]\nurl = \"http://127.0.0.1:1\"\n")
	if err := c.Delete("a.b"); err != nil {
		t.Fatal(err)
	}
	wantFile(t, c, "# my services\nversion = 1\ncurrent = \"local\"\n\n# the chat\n\n")
}

func TestEditsThatAreNotSafeAreRefused(t *testing.T) {
	for _, c := range []struct{ rule, text string }{
		{"an inline table", "contexts = { a = { url = \"http://h\" } }\n"},
		{"dotted keys", "contexts.a.url = \"http://h\"\n"},
		{"a key in a table of its own", "[contexts.a]\nurl = \"http://h\"\n[contexts.a.key]\nid = \"i\"\nsecret = \"env:S\"\n"},
		{"a string over lines", "[contexts.a]\nurl = \"http://h\"\nservice_id = \"\"\"\nx\n\"\"\"\n"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			f := onDisk(t, c.text)
			a, _ := f.Get("a")
			a.URL, a.ServiceID, a.Key = "http://other", "s", Key{"i2", ParseRef("env:S")}
			var e *Error
			if err := f.Put("a", a); !errors.As(err, &e) || e.Reason != NotEditable {
				t.Errorf("got %v", err)
			}
			wantFile(t, f, c.text)
		})
	}
}

func TestWriteKeepsWhatAnotherWriterDid(t *testing.T) {
	c := onDisk(t, sample)
	write(t, c.Path, sample+"# mine\n", 0o600)
	if err := c.Use("local"); err != nil {
		t.Fatal(err)
	}
	wantFile(t, c, strings.Replace(sample, `current = "chat"`, `current = "local"`, 1)+"# mine\n")
}

func TestWritersAtTheSameTimeLoseNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	var writers sync.WaitGroup
	for i := range 20 {
		writers.Go(func() {
			c, err := ReadContexts(path)
			if err == nil {
				err = c.Put(fmt.Sprintf("c%d", i), Context{URL: "http://h"})
			}
			if err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	writers.Wait()
	c, err := ReadContexts(path)
	if err != nil || len(c.Names()) != 21 {
		t.Errorf("left are %q, %v", c.Names(), err)
	}
}

func TestFileOfAWriterThatDiedIsInNobodysWay(t *testing.T) {
	c := onDisk(t, sample)
	fresh := filepath.Join(filepath.Dir(c.Path), ".config.toml.new")
	write(t, fresh, "half", 0o644)
	write(t, strings.TrimSuffix(fresh, "new")+"lock", "", 0o600)
	if err := c.Use("local"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(fresh); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

func TestChangedLinesKeepTheirLayoutAndComments(t *testing.T) {
	const text = "version = 1\r\ncurrent   = \"a\"  # now\r\n[contexts.a]\r\nurl = 'http://h#x' # of a \"b\"\r\n[contexts.a.key]\nid = \"i\"\nsecret = \"env:S\"\n[contexts.b]\n"
	c := onDisk(t, strings.Replace(text, "#x", "/x", 1))
	a, _ := c.Get("a")
	a.URL = "http://other"
	if err := errors.Join(c.Put("a", a), c.Use("b")); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(text, `'http://h#x'`, `"http://other"`, 1)
	wantFile(t, c, strings.Replace(want, `"a"  # now`, `"b"  # now`, 1))
	if err := c.Delete("a"); err != nil {
		t.Fatal(err)
	}
	wantFile(t, c, "version = 1\r\ncurrent   = \"b\"  # now\r\n[contexts.b]\n")
	if got := withValue("k = 'a # b' # c\n", `"v"`); got != "k = \"v\" # c\n" {
		t.Errorf("got %q", got)
	}
}

func TestWriteFollowsALink(t *testing.T) {
	c := onDisk(t, sample)
	link := filepath.Join(t.TempDir(), "link.toml")
	if err := os.Symlink(c.Path, link); err != nil {
		t.Skip(err)
	}
	linked, err := ReadContexts(link)
	if err != nil {
		t.Fatal(err)
	}
	if err := linked.Use("local"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	wantFile(t, c, strings.Replace(sample, `current = "chat"`, `current = "local"`, 1))
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{"a": true, "chat-2.b_C": true, "": false, "-a": false, ".a": false, "a b": false, "a/b": false, "ä": false, strings.Repeat("a", 65): false} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzPutKeepsTheRest(f *testing.F) {
	f.Add(sample, "http://h", "s")
	f.Add("[contexts.a]\nurl=\"http://x\"\r\n", "http://h", "\"\n\x00")
	f.Fuzz(func(t *testing.T, text, url, secret string) {
		c, err := parseContexts("config.toml", text)
		if err != nil {
			t.Skip()
		}
		next, err := c.with("fuzzed", Context{URL: url, Token: ParseRef(secret)})
		if err != nil {
			t.Skip() // refused, and nothing written
		}
		for name, ctx := range c.named {
			if got, _ := next.Get(name); name != "fuzzed" && got != ctx {
				t.Errorf("%q became %+v", name, got)
			}
		}
		if got, _ := next.Get("fuzzed"); got.URL != url {
			t.Errorf("stored %+v", got)
		}
		for _, line := range splitLines(text) {
			if !strings.Contains(next.text, strings.TrimSuffix(line, "\n")) && !c.Saved("fuzzed") {
				t.Errorf("the line %q is gone from %q", line, next.text)
			}
		}
	})
}

func onDisk(t *testing.T, text string) *Contexts {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	write(t, path, text, 0o600)
	c, err := ReadContexts(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantFile(t *testing.T, c *Contexts, want string) {
	t.Helper()
	got, err := os.ReadFile(c.Path)
	if err != nil || string(got) != want {
		t.Errorf("the file is\n%s\nwant\n%s\n%v", got, want, err)
	}
}
