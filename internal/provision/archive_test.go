package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// TestLoad: from a file and over the network, with and without a hash.
func TestLoad(t *testing.T) {
	content := appPackage(t, "1").Content
	file := filepath.Join(t.TempDir(), "app.tar.gz")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/app", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer secure.Close()
	mux.Handle("/moved", http.RedirectHandler(secure.URL+"/app", http.StatusFound))
	mux.Handle("/down", http.RedirectHandler(plain.URL+"/app", http.StatusFound))
	mux.Handle("/round", http.RedirectHandler(secure.URL+"/round", http.StatusFound))
	sum := sha256.Sum256(content)
	good := hex.EncodeToString(sum[:])
	for _, c := range []struct{ where, hash, says string }{
		{file, "", ""}, {file, strings.ToUpper(good), ""}, {file, "00", "SHA-256"}, {file + ".not", "", "no such file"},
		{secure.URL + "/app", "", ""}, {secure.URL + "/moved", "", ""}, {secure.URL + "/not", "", "404"}, {secure.URL + "/round", "", "more than five"},
		{plain.URL + "/app", "", "--package-sha256"}, {plain.URL + "/app", good, ""}, {plain.URL + "/app", "00", "SHA-256"},
		{secure.URL + "/down", "", "--package-sha256"}, {secure.URL + "/down", good, ""},
		{strings.Replace(secure.URL, "https://", "https://user:pw@", 1) + "/app", "", "not one to fetch"},
	} {
		a, err := Load(t.Context(), Source{Where: c.where, SHA256: c.hash, HTTP: secure.Client().Transport})
		_, typed := errors.AsType[*PackageError](err)
		switch {
		case c.says == "" && (err != nil || a.Name != AppName):
			t.Errorf("%s %s: %v", c.where, c.hash, err)
		case c.says != "" && (!typed || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s %s: %v, want %q", c.where, c.hash, err, c.says)
		}
	}
}

// tools makes a PATH for a Builder: each tool is a script.
func tools(t *testing.T, scripts map[string]string) func(string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return func(name string) (string, error) {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		return path, err
	}
}

// checkout is a directory with the app's manifest and what a compiler would make.
func checkout(t *testing.T, manifest string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"fastly.toml": []byte(manifest), "made.tar.gz": appPackage(t, "built").Content, "made.wasm": []byte("\x00asm\x01\x00\x00\x00built"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const appManifest = "name = \"Pub/Sub\"\nlanguage = \"rust\"\nmanifest_version = 3\n"

// TestBuild: by the Fastly CLI if it is there, else by cargo; both make the same
// package. Neither sees a token.
func TestBuild(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the tools are scripts of a shell")
	}
	fastly := `[ -z "$FASTLY_API_TOKEN" ] && [ "$*" = "compute build --non-interactive" ] && mkdir -p pkg && cp made.tar.gz pkg/pub-sub.tar.gz`
	cargo := `[ -z "$FASTLY_API_TOKEN" ] && mkdir -p target/wasm32-wasip1/release && cp made.wasm target/wasm32-wasip1/release/app.wasm`
	for name, c := range map[string]struct {
		manifest string
		scripts  map[string]string
		says     string
	}{
		"fastly":        {appManifest, map[string]string{"fastly": fastly, "cargo": "exit 1"}, ""},
		"cargo":         {appManifest, map[string]string{"cargo": cargo}, ""},
		"no tool":       {appManifest, nil, "neither"},
		"it fails":      {appManifest, map[string]string{"fastly": "echo one; echo 'no target wasm' >&2; exit 3"}, "fastly says: no target wasm"},
		"nothing made":  {appManifest, map[string]string{"fastly": "exit 0"}, "no archive"},
		"nothing built": {appManifest, map[string]string{"cargo": "exit 0"}, "exactly one program"},
		"another app":   {strings.Replace(appManifest, "Pub/Sub", "other", 1), map[string]string{"fastly": fastly}, "not that of the app"},
	} {
		t.Run(name, func(t *testing.T) {
			b := Builder{Dir: checkout(t, c.manifest), Environ: []string{"PATH=" + os.Getenv("PATH")}, Look: tools(t, c.scripts)}
			a, err := b.Build(context.Background())
			switch {
			case c.says == "" && (err != nil || a.FilesHash != appPackage(t, "built").FilesHash):
				t.Errorf("%v", err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
	if _, err := (Builder{Dir: t.TempDir()}).Build(t.Context()); err == nil || !strings.Contains(err.Error(), "no fastly.toml") {
		t.Errorf("an empty directory: %v", err)
	}
}

// TestStaleLock: a lock whose process has ended does not count, nor one that nobody
// can read.
func TestStaleLock(t *testing.T) {
	for _, text := range []string{"999999999\n", "", "x"} {
		b := &Book{Dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(b.Dir, "lock"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		unlock, err := b.Lock()
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if _, err := b.Lock(); err == nil {
			t.Errorf("%q: locked twice", text)
		}
		unlock()
	}
}

// TestServiceIsGone: somebody deleted the service that setup made.
func TestServiceIsGone(t *testing.T) {
	r := done(t)
	id := r.fake.Snapshot().Services[0].ID
	r.fake.Change(func(a *fastlytest.Account) { a.Services = nil })
	if e := fails[*GoneError](r); e.ID != id || e.Name != "chat" {
		t.Errorf("%+v", e)
	}
}

// TestS15HashAsThePlatformCounts: the recorded upload is of an archive that the
// library's module carries, and the answer has the hash of its files.
func TestS15HashAsThePlatformCounts(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/fastly/go-fastly/v9").Output()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "fastly", "test_assets", "package", "valid.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := unpack(content)
	if err != nil {
		t.Fatal(err)
	}
	all, err := fastlytest.Recordings(os.DirFS("../../testdata/fastly-api"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Name == "package/update" {
			if body := string(r.Response.Body); !strings.Contains(body, hashFiles(files)) {
				t.Errorf("%s is not in %s", hashFiles(files), body)
			}
			return
		}
	}
	t.Error("there is no recording of an upload")
}
