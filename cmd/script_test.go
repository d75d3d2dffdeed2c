package cmd

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// exitFile is the variable that names the file in which a run of the command
// line leaves its exit code, for the script command exitcode.
const exitFile = "PUBSUBCTL_TEST_EXIT_FILE"

// raceExit lets a program built with the race detector end at once; it would
// otherwise wait a second for reports of other goroutines.
const raceExit = "atexit_sleep_ms=0"

// waitLimit bounds how long a script waits for a file.
const waitLimit = 20 * time.Second

var update = flag.Bool("update", false, "rewrite the files that scripts compare with")

// TestMain makes the command line a program that scripts call with exec. The
// test binary plays it, so there is nothing to build, and coverage counts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"pubsubctl":       func() { os.Exit(leaveExitCode(Main())) },
		"pubsubctl-panic": func() { os.Exit(leaveExitCode(mainThatPanics())) },
		"pushpin":         func() { os.Exit(leaveExitCode(Main())) },
		"fetch":           func() { os.Exit(mainThatFetches()) },
	})
}

// leaveExitCode writes code where exitcode finds it. The file appears whole, and
// in the background the run that ends last wins.
func leaveExitCode(code int) int {
	path := os.Getenv(exitFile)
	if path == "" {
		return code
	}
	fresh := path + "." + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(fresh, []byte(strconv.Itoa(code)), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(fresh, path); err != nil {
		panic(err)
	}
	return code
}

// mainThatPanics is the command line with a command that has a bug.
func mainThatPanics() int {
	environ := os.Environ()
	return Run(context.Background(), Invocation{
		Args: os.Args[1:], Environ: environ, Dir: ".", Streams: ui.System(ui.EnvOf(environ)),
		extra: []*cobra.Command{{Use: "panic", RunE: func(*cobra.Command, []string) error { panic("Bearer s3cret-credential") }}},
		adapt: func(d deps) []*cobra.Command { return []*cobra.Command{newTailThatPanics(d)} },
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup:               isolate,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode":    scriptExitCode,
			"jsonlines":   scriptJSONLines,
			"selfsigned":  scriptSelfSigned,
			"awaitfile":   scriptAwaitFile,
			"awaittext":   scriptAwaitText,
			"setfield":    scriptSetField,
			"awaitline":   scriptAwaitLine,
			"awaitanswer": scriptAwaitAnswer,
		},
	})
}

// isolate gives a script an environment in which it finds nothing of the user's:
// home, configuration and temporary files are below its own directory.
func isolate(e *testscript.Env) error {
	home := filepath.Join(e.WorkDir, "home")
	if err := os.MkdirAll(filepath.Join(e.WorkDir, ".git"), 0o700); err != nil { // project files are looked for up to here
		return err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"HOME", "AppData", "APPDATA", "USERPROFILE"} {
		e.Setenv(name, home)
	}
	e.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	e.Setenv("NO_PROXY", "*")
	e.Setenv("GORACE", raceExit)
	e.Setenv("ESC", "\x1b")
	e.Setenv(exitFile, filepath.Join(e.WorkDir, ".exitcode"))
	return nil
}

// scriptExitCode is "exitcode N": the last pubsubctl that ended had this status.
func scriptExitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: exitcode N")
	}
	if got := ts.ReadFile(ts.Getenv(exitFile)); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// scriptJSONLines is "jsonlines stdout|stderr|FILE [N]": each line is one JSON
// object, and there are N of them, or at least one.
func scriptJSONLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: jsonlines stdout|stderr|FILE [N]")
	}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile(args[0]), "\n"), "\n")
	for i, line := range lines {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			ts.Fatalf("line %d of %s is no JSON object: %v\n%s", i+1, args[0], err, line)
		}
	}
	if len(args) == 2 && args[1] != strconv.Itoa(len(lines)) {
		ts.Fatalf("%d lines in %s, want %s", len(lines), args[0], args[1])
	}
}

// scriptAwaitFile is "awaitfile FILE": wait until it exists, for what runs in the
// background, such as relay --ready-file.
func scriptAwaitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: awaitfile FILE")
	}
	awaitFile(ts, args[0], func(string) bool { return true })
}

// scriptAwaitText is "awaittext FILE REGEXP": wait until the file has a match,
// for what runs in the background and writes it, such as subscribe --output-file.
func scriptAwaitText(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: awaittext FILE REGEXP")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	awaitFile(ts, args[0], re.MatchString)
}

// awaitFile waits until a file is there and enough of it is.
func awaitFile(ts *testscript.TestScript, name string, enough func(text string) bool) {
	path := ts.MkAbs(name)
	look, late := time.NewTicker(5*time.Millisecond), time.After(waitLimit)
	defer look.Stop()
	for {
		text, err := os.ReadFile(path)
		if err == nil && enough(string(text)) {
			return
		}
		select {
		case <-look.C:
		case <-late:
			ts.Fatalf("%s is not as awaited within %v: %q, %v", name, waitLimit, text, err)
		}
	}
}

// scriptSetField is "setfield NAME FILE MEMBER [REGEXP]": set a variable to a
// member of the JSON object in a file, such as the address in a ready file, or to
// the first group of an expression in it.
func scriptSetField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: setfield NAME FILE MEMBER [REGEXP]")
	}
	var v map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &v))
	text, ok := v[args[2]].(string)
	if !ok {
		ts.Fatalf("%s has no text %q", args[1], args[2])
	}
	if len(args) == 4 {
		found := regexp.MustCompile(args[3]).FindStringSubmatch(text)
		if len(found) < 2 {
			ts.Fatalf("no %q in %q", args[3], text)
		}
		text = found[1]
	}
	ts.Setenv(args[0], text)
}

// golden compares text with a file of testdata/golden; -update rewrites it.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("..", "testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != text {
		t.Errorf("got\n%s\nwant\n%s\n%v", text, want, err)
	}
}
