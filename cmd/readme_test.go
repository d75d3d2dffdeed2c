package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// sample is a fenced block of README.md and the comment above it, which says
// how it is tested: "test: NAME" is a session that TestReadmeSessions runs,
// "run: NAME" is text that a named test here or a driver in testdata/peers runs.
type sample struct {
	how, name, lang, text string
}

// readmeSamples reads the fenced blocks of README.md, marked or not.
func readmeSamples(t *testing.T) []sample {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)(?:^<!-- (run|test): ([a-z-]+) -->\n)?^```([a-z]+)\n(.*?)^```$")
	var samples []sample
	for _, m := range block.FindAllStringSubmatch(strings.ReplaceAll(string(text), "\r\n", "\n"), -1) {
		samples = append(samples, sample{how: m[1], name: m[2], lang: m[3], text: m[4]})
	}
	return samples
}

// readmeSample gives the one block with this mark.
func readmeSample(t *testing.T, name string) string {
	t.Helper()
	all := readmeSamples(t)
	i := slices.IndexFunc(all, func(s sample) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("README.md has no block marked %s", name)
	}
	return all[i].text
}

func TestReadmeHasNoUntestedSample(t *testing.T) {
	var names []string
	for _, s := range readmeSamples(t) {
		if s.how == "" {
			t.Errorf("no mark above this block, so nothing tests it:\n%s", s.text)
		}
		if slices.Contains(names, s.name) {
			t.Errorf("two blocks are marked %s", s.name)
		}
		names = append(names, s.name)
	}
	if len(names) < 10 {
		t.Errorf("found only %d blocks: %v", len(names), names)
	}
}

// TestReadmeTour runs the three terminals as printed, on free ports.
func TestReadmeTour(t *testing.T) {
	free := []string{"--listen", freePort, "--control", freePort, "--json"}
	served := begin(t, "", nil, append(readmeWords(t, "tour-relay"), free...)...)
	served.out.await(t, `"type":"ready".*\n`)
	line, _ := served.out.look()
	var ready struct{ Hub string }
	if err := json.Unmarshal([]byte(line), &ready); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	reader := begin(t, "", nil, append(readmeWords(t, "tour-subscribe"), "--url", ready.Hub)...)
	reader.err.await(t, "^listening on test ")
	code, _, errs := invoke(t, append(readmeWords(t, "tour-publish"), "--url", ready.Hub)...)
	if code != 0 {
		t.Fatalf("publish exits %d: %s", code, errs)
	}
	reader.out.await(t, "^hello world\n$")
}

// TestReadmeRehearsal runs the life of a service as printed, on free ports.
func TestReadmeRehearsal(t *testing.T) {
	h := ready(t, fastlytest.Options{}) // stands for the first line
	h.setenv("PUBSUBCTL_YES", "")
	lines := strings.Split(strings.TrimSpace(readmeSample(t, "rehearsal")), "\n")
	if len(lines) < 4 || lines[0] != "pubsubctl relay --fastly-api 127.0.0.1:5562 &" {
		t.Fatalf("the rehearsal is %q", lines)
	}
	here := strings.NewReplacer("http://127.0.0.1:5562", h.relay.Ready().FastlyAPI, "http://127.0.0.1:7999", h.relay.Ready().Hub)
	for _, line := range lines[1:] {
		words, err := config.SplitWords(here.Replace(line))
		if err != nil {
			t.Fatal(err)
		}
		if words[0] == "export" {
			for _, kv := range words[1:] {
				name, value, _ := strings.Cut(kv, "=")
				h.setenv(name, value)
			}
			continue
		}
		if code, out, errs := h.run(t, words[1:]...); code != 0 {
			t.Fatalf("%s: exit %d\n%s%s", line, code, out, errs)
		}
	}
}

// readmeWords splits a one-line block as a shell would, without its first word,
// pubsubctl.
func readmeWords(t *testing.T, name string) []string {
	t.Helper()
	words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(readmeSample(t, name), -1)
	if len(words) < 2 || words[0] != "pubsubctl" {
		t.Fatalf("%s is not one pubsubctl command: %q", name, words)
	}
	for i, w := range words {
		words[i] = strings.Trim(w, "'")
	}
	return words[1:]
}

// TestReadmeSessions runs each session against a relay of its own, in one shell,
// and compares stdout with what the README shows.
func TestReadmeSessions(t *testing.T) {
	dir := t.TempDir()
	for _, s := range readmeSamples(t) {
		if s.how != "test" {
			continue
		}
		if s.lang != "console" {
			t.Errorf("%s is marked as a session but is %s", s.name, s.lang)
		}
		if err := os.WriteFile(filepath.Join(dir, "readme_"+s.name+".txtar"), []byte(sessionScript(s.text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{Dir: dir, RequireExplicitExec: true, Setup: isolate})
}

// sessionScript makes a script of a session: lines that start with "$ " are
// commands, the others what they print.
func sessionScript(session string) string {
	var steps, want strings.Builder
	for line := range strings.Lines(session) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps.WriteString(command)
		} else {
			want.WriteString(line)
		}
	}
	return fmt.Sprintf("[!exec:sh] skip 'the README shows a POSIX shell'\nexec pubsubctl relay exec -- sh -eu steps\ncmp stdout want\n-- steps --\n%s-- want --\n%s",
		steps.String(), want.String())
}
