package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// world is a directory with the files of one test.
type world struct {
	dir        string
	flags, env map[string]string
	path       string
}

func newWorld(t *testing.T, files map[string]string) *world {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o700); err != nil { // the search for project files ends here
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, filepath.Join(dir, name), text, 0o600)
	}
	return &world{dir: dir, path: filepath.Join(dir, "config.toml")}
}

func (w *world) resolve() (*Settings, error) {
	return Resolve(Source{
		Flag: func(n string) string { return w.flags[n] },
		Env:  func(n string) string { return w.env[n] },
		Dir:  w.dir, Path: w.path,
	})
}

func TestPrecedence(t *testing.T) {
	files := map[string]string{
		"config.toml":  "[contexts.chat]\nurl = \"http://context\"\nservice_id = \"ctx\"\n",
		ProjectFile:    "url = \"http://project\"\nservice_id = \"proj\"\ncontext = \"chat\"\n",
		"fastly.toml":  "manifest_version = 3\nservice_id = \"manifest\"\n[unknown]\nx = 1\n",
		"empty/unused": "",
	}
	delete(files, "empty/unused")
	w := newWorld(t, files)
	w.flags = map[string]string{"url": "http://flag"}
	w.env = map[string]string{"PUBSUBCTL_URL": "http://env", "FASTLY_SERVICE_ID": "fenv", "PUBSUBCTL_SERVICE_ID": "env"}
	drop := []struct {
		rule         string
		remove       func()
		url, service string
	}{
		{"a flag wins", func() {}, "http://flag flag --url", "env environment PUBSUBCTL_SERVICE_ID"},
		{"then the environment", func() { w.flags = nil }, "http://env environment PUBSUBCTL_URL", "env environment PUBSUBCTL_SERVICE_ID"},
		{"empty is unset, and Fastly's variable is next", func() { w.env["PUBSUBCTL_URL"], w.env["PUBSUBCTL_SERVICE_ID"] = "", "" },
			"http://project project file DIR/.pubsubctl.toml", "fenv environment FASTLY_SERVICE_ID"},
		{"then the project file", func() { w.env = nil }, "http://project project file DIR/.pubsubctl.toml", "proj project file DIR/.pubsubctl.toml"},
		{"then the context", func() { write(t, filepath.Join(w.dir, ProjectFile), "context = \"chat\"\n", 0o600) },
			"http://context context chat", "ctx context chat"},
		{"then what is built in, and the manifest", func() { os.Remove(filepath.Join(w.dir, ProjectFile)) },
			"http://127.0.0.1:7999 built-in default", "manifest project file DIR/fastly.toml"},
	}
	for _, c := range drop {
		c.remove()
		s, err := w.resolve()
		if err != nil {
			t.Fatalf("%s: %v", c.rule, err)
		}
		told := func(v Value) string {
			return strings.ReplaceAll(filepath.ToSlash(fmt.Sprint(v.Text, " ", v.Origin)), filepath.ToSlash(w.dir), "DIR")
		}
		if told(s.URL) != c.url || told(s.ServiceID) != c.service {
			t.Errorf("%s: got %q and %q", c.rule, told(s.URL), told(s.ServiceID))
		}
	}
}

func TestContextSelection(t *testing.T) {
	w := newWorld(t, map[string]string{
		"config.toml": "current = \"a\"\n[contexts.a]\nurl = \"http://a\"\n[contexts.b]\nurl = \"http://b/\"\n",
	})
	for _, c := range []struct {
		rule, flag, env, project, want string
	}{
		{"the file says", "", "", "", "http://a"},
		{"the project says", "", "", "context = \"b\"", "http://b"},
		{"the environment says", "", "local", "context = \"b\"", "http://127.0.0.1:7999"},
		{"the flag says", "b", "local", "", "http://b"},
	} {
		w.flags, w.env = map[string]string{"context": c.flag}, map[string]string{"PUBSUBCTL_CONTEXT": c.env}
		write(t, filepath.Join(w.dir, ProjectFile), c.project, 0o600)
		if s, err := w.resolve(); err != nil || s.URL.Text != c.want {
			t.Errorf("%s: got %+v, %v", c.rule, s, err)
		}
	}
	w.flags = map[string]string{"context": "nope"}
	var e *Error
	if _, err := w.resolve(); !errors.As(err, &e) || e.Reason != UnknownContext || !strings.Contains(e.Detail, "a, b, local") {
		t.Errorf("got %v", err)
	}
}

func TestTokenOrKey(t *testing.T) {
	const both = "current = \"a\"\n[contexts.a]\nurl = \"http://a\"\ntoken = \"env:T\"\nkey = { id = \"k\", secret = \"env:S\" }\n"
	for _, c := range []struct {
		rule       string
		file       string
		flags, env map[string]string
		token      bool
	}{
		{"a token beside a key", both, nil, nil, true},
		{"a key of the environment beats a token of the context", both, nil, map[string]string{"PUBSUBCTL_KEY_ID": "i", "PUBSUBCTL_KEY_SECRET": "s"}, false},
		{"a token flag beats all", both, map[string]string{"token": "t"}, map[string]string{"PUBSUBCTL_KEY_ID": "i", "PUBSUBCTL_KEY_SECRET": "s"}, true},
		{"the built-in key", "", nil, nil, false},
		{"a token beats the built-in key", "", nil, map[string]string{"PUBSUBCTL_TOKEN": "t"}, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			w := newWorld(t, map[string]string{"config.toml": c.file})
			w.flags, w.env = c.flags, c.env
			if s, err := w.resolve(); err != nil || s.UseToken() != c.token {
				t.Errorf("got %+v, %v", s, err)
			}
		})
	}
}

func TestHalfAKeyIsRefused(t *testing.T) {
	for _, name := range []string{"PUBSUBCTL_KEY_ID", "PUBSUBCTL_KEY_SECRET"} {
		w := newWorld(t, nil)
		w.env = map[string]string{name: "s3cret"}
		_, err := w.resolve()
		var e *Error
		if !errors.As(err, &e) || e.Reason != BadValue || !strings.Contains(e.Text, name) || strings.Contains(e.Text, "s3cret") {
			t.Errorf("%s alone: %v", name, err)
		}
	}
}

func TestProjectFileCannotRedirectCredentials(t *testing.T) {
	const file = "current = \"a\"\n[contexts.a]\nurl = \"http://a/\"\nkey = { id = \"k\", secret = \"env:S\" }\n"
	for _, c := range []struct {
		rule, file, project string
		env                 map[string]string
		ok                  bool
	}{
		{"another address", file, `url = "http://evil"`, nil, false},
		{"the same address", file, `url = "http://a"`, nil, true},
		{"nothing secret in the built-in context", "", `url = "http://elsewhere"`, nil, true},
		{"the user named the address", file, `url = "http://evil"`, map[string]string{"PUBSUBCTL_URL": "http://evil"}, true},
		{"the user named the key", file, `url = "http://evil"`, map[string]string{"PUBSUBCTL_KEY_ID": "i", "PUBSUBCTL_KEY_SECRET": "s"}, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			w := newWorld(t, map[string]string{"config.toml": c.file, ProjectFile: c.project})
			w.env = c.env
			s, err := w.resolve()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CheckRedirect(); (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestProjectFileRefusals(t *testing.T) {
	for text, reason := range map[string]Reason{
		"token = \"s3cret\"\n":             SecretInProject,
		"[key]\nid = \"s3cret\"\n":         SecretInProject,
		"urll = \"http://x\"\n":            UnknownKey,
		"url = \"s3cret\"\n":               BadValue,
		"url = [\n":                        Syntax,
		"service_id = 5\n":                 BadValue,
		"[contexts.a]\nurl = \"http://x\"": SecretInProject,
	} {
		w := newWorld(t, map[string]string{ProjectFile: text})
		_, err := w.resolve()
		var e *Error
		if !errors.As(err, &e) || e.Reason != reason || e.Line == 0 || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: got %+v", text, err)
		}
	}
}

func TestProjectFileOfADirectoryAbove(t *testing.T) {
	w := newWorld(t, map[string]string{ProjectFile: "service_id = \"above\"\n"})
	root := w.dir
	w.dir = filepath.Join(root, "a", "b")
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := w.resolve(); err != nil || s.ServiceID.Text != "above" {
		t.Errorf("got %+v, %v", s, err)
	}
	if err := os.Mkdir(filepath.Join(root, "a", ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := w.resolve(); err != nil || s.ServiceID.IsSet() {
		t.Errorf("the search left the work tree: %+v, %v", s, err)
	}
}

func TestNamedFileMustExist(t *testing.T) {
	src := Source{Env: func(string) string { return "" }, Dir: newWorld(t, nil).dir, Path: "nowhere.toml", MustExist: true}
	var e *Error
	if _, err := Resolve(src); !errors.As(err, &e) || e.Reason != Unreadable {
		t.Errorf("got %v", err)
	}
	src.Path, src.MustExist = "", false
	if s, err := Resolve(src); err != nil || s.Context.Text != Local {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestBadAddressNamesItsOrigin(t *testing.T) {
	w := newWorld(t, nil)
	w.env = map[string]string{"PUBSUBCTL_URL": "localhost:7999"}
	if _, err := w.resolve(); err == nil || !strings.Contains(err.Error(), "PUBSUBCTL_URL") {
		t.Errorf("got %v", err)
	}
}

func TestAPITokenOfTheFastlyCLI(t *testing.T) {
	const newest = "[auth]\ndefault = \"work\"\n[auth.tokens.work]\ntoken = \"new\"\n[auth.tokens.x]\ntoken = \"other\"\n"
	const older = "[profile.a]\ntoken = \"other\"\n[profile.b]\ndefault = true\ntoken = \"old\"\n"
	for _, c := range []struct {
		rule, text string
		mode       os.FileMode
		want       string
	}{
		{"the default of the newest form", newest + older, 0o600, "new"},
		{"the default profile", older, 0o600, "old"},
		{"the one user of the oldest form", "[user]\ntoken = \"oldest\"\n", 0o600, "oldest"},
		{"no default", "[profile.a]\ntoken = \"other\"\n", 0o600, ""},
		{"not TOML", "= \"\n", 0o600, ""},
		{"a file that others can read", older, 0o644, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if runtime.GOOS == "windows" && c.mode != 0o600 {
				t.Skip("modes say nothing here")
			}
			w := newWorld(t, nil)
			w.env = map[string]string{"HOME": w.dir, "XDG_CONFIG_HOME": w.dir}
			for _, dir := range []string{"fastly", ".fastly"} { // where it is now, and was
				path := filepath.Join(w.dir, dir, "config.toml")
				if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, path, c.text, c.mode)
				s, err := w.resolve()
				if err != nil || s.APIToken.Text != c.want {
					t.Errorf("from %s: got %q, %v", dir, s.APIToken.Text, err)
				}
				if list := fmt.Sprint(s.List()); c.want != "" && (strings.Contains(list, c.want+" ") || !strings.Contains(list, "Fastly CLI "+path)) {
					t.Errorf("shown as %s", list)
				}
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			w.env["FASTLY_API_TOKEN"] = "given"
			if s, err := w.resolve(); err != nil || s.APIToken.Text != "given" {
				t.Errorf("the environment does not win: %v, %v", s.APIToken, err)
			}
		})
	}
}

func TestListMasksSecrets(t *testing.T) {
	w := newWorld(t, map[string]string{"config.toml": "current = \"a\"\n[contexts.a]\ntoken = \"s3cret\"\nkey = { id = \"k\", secret = \"s3cret\" }\nfastly_key = \"s3cret\"\napi_token = \"cmd:pass s3cret\"\n"})
	s, err := w.resolve()
	if err != nil {
		t.Fatal(err)
	}
	list := fmt.Sprint(s.List())
	if strings.Contains(list, "s3cret") || strings.Count(list, "[redacted]") != 3 {
		t.Errorf("got %s", list)
	}
	if e := s.List()[1]; e.Name != "url" || e.Origin != "" {
		t.Errorf("an unset value has an origin: %+v", e)
	}
}

// TestS69APITokenPrecedence: a variable wins over the context, the context over the
// Fastly CLI.
func TestS69APITokenPrecedence(t *testing.T) {
	w := newWorld(t, map[string]string{"config.toml": "current = \"chat\"\n[contexts.chat]\napi_token = \"env:CHAT_TOKEN\"\n[contexts.bare]\nurl = \"http://x\"\n"})
	if err := os.Mkdir(filepath.Join(w.dir, "fastly"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(w.dir, "fastly", "config.toml"), "[user]\ntoken = \"cli\"\n", 0o600)
	w.env = map[string]string{"HOME": w.dir, "XDG_CONFIG_HOME": w.dir, "FASTLY_API_TOKEN": "variable"}
	for _, c := range []struct {
		rule   string
		change func()
		want   string
	}{
		{"a variable wins", func() {}, "variable"},
		{"then the context", func() { w.env["FASTLY_API_TOKEN"] = "" }, "env:CHAT_TOKEN"},
		{"then the Fastly CLI", func() { w.env["PUBSUBCTL_CONTEXT"] = "bare" }, "cli"},
	} {
		c.change()
		if s, err := w.resolve(); err != nil || s.APIToken.Text != c.want {
			t.Errorf("%s: %q, %v", c.rule, s.APIToken.Text, err)
		}
	}
}

// TestS70EndpointPrecedence: the Fastly CLI's variable wins over its library's, and
// both over the context.
func TestS70EndpointPrecedence(t *testing.T) {
	w := newWorld(t, map[string]string{"config.toml": "version = 1\ncurrent = \"a\"\n[contexts.a]\napi_url = \"https://context\"\n"})
	w.env = map[string]string{"FASTLY_API_ENDPOINT": "https://cli", "FASTLY_API_URL": "https://library"}
	w.flags = map[string]string{"api-url": "https://flag"}
	for _, want := range []string{"https://flag", "https://cli", "https://library", "https://context"} {
		if s, err := w.resolve(); err != nil || s.APIURL.Text != want {
			t.Errorf("%v, %v, want %s", s.APIURL, err, want)
		}
		switch {
		case w.flags != nil:
			w.flags = nil
		case w.env["FASTLY_API_ENDPOINT"] != "":
			delete(w.env, "FASTLY_API_ENDPOINT")
		default:
			w.env = nil
		}
	}
}
