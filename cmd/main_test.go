package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// runWith runs one command that returns err, and gives the exit code and stderr.
func runWith(t *testing.T, ctx context.Context, err error, args ...string) (code int, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	body := &cobra.Command{Use: "fail", RunE: func(*cobra.Command, []string) error { return err }}
	code = Run(ctx, Invocation{Args: append([]string{"fail"}, args...), Dir: t.TempDir(),
		Streams: ui.Buffers(ui.EnvOf(nil), nil, &out, &errs), extra: []*cobra.Command{body}})
	if out.Len() > 0 {
		t.Errorf("an error is on stdout: %q", out.String())
	}
	return code, errs.String()
}

type codedError struct{ error }

func (codedError) Code() string { return "network.dns" }

func TestErrorsBecomeCodesInOnePlace(t *testing.T) {
	for _, c := range []struct {
		rule   string
		err    error
		code   int
		stderr string
	}{
		{"no error", nil, 0, ""},
		{"a reader that left", fmt.Errorf("write: %w", ui.ErrReaderGone), 0, ""},
		{"a bare exit code says nothing", ui.ExitNo, 8, ""},
		{"the code of a child", ui.Exit(42), 42, ""},
		{"a problem", ui.Problemf(ui.AuthTopicNotGranted, "no"), 4, "error: no\n"},
		{"a problem further down", fmt.Errorf("publish: %w", ui.Problemf(ui.TimeoutRequest, "late")), 7, "error: late\n"},
		{"configuration", &config.Error{Reason: config.UnknownKey, File: "c.toml", Line: 3, Text: "unknown key"}, 3, "error: c.toml:3: unknown key\n"},
		{"what the system said", &config.Error{Reason: config.Unreadable, File: "c.toml", Text: "cannot be read", Err: &fs.PathError{Op: "open", Path: "c.toml", Err: fs.ErrPermission}},
			3, "error: c.toml: cannot be read\n  why:  permission denied\n"},
		{"an error that knows its code", codedError{errors.New("no such host")}, 6, "error: no such host\n"},
		{"a file", &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, 1, "error: cannot read x\n  why:  no such file or directory\n"},
		{"a deadline", fmt.Errorf("get: %w", context.DeadlineExceeded), 7, "error: get: context deadline exceeded\n"},
		{"the network", &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}, 6, "error: dial tcp: refused\n"},
		{"anything else", errors.New("odd"), 1, "error: odd\n"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if code, stderr := runWith(t, t.Context(), c.err); code != c.code || stderr != c.stderr {
				t.Errorf("got %d %q, want %d %q", code, stderr, c.code, c.stderr)
			}
		})
	}
}

func TestVerboseShowsTheChain(t *testing.T) {
	_, stderr := runWith(t, t.Context(), fmt.Errorf("publish: %w", ui.Problemf(ui.TimeoutRequest, "late")), "-vv")
	if stderr != "error: late\nchain: publish: late\n" {
		t.Errorf("got %q", stderr)
	}
}

func TestConfigReasonsAreInTheTableOfCodes(t *testing.T) {
	known := map[ui.Code]bool{}
	for _, row := range ui.Codes() {
		known[row.Code] = true
	}
	for _, reason := range []config.Reason{config.Unreadable, config.Syntax, config.UnknownKey, config.BadValue, config.UnknownContext,
		config.NotEditable, config.SecretInProject, config.Redirected, config.SecretMissing, config.SecretExposed, config.SecretFailed, config.SecretLiteral} {
		if p := configProblem(&config.Error{Reason: reason, Text: "x"}); !known[p.Code] || p.Exit() != ui.ExitConfig {
			t.Errorf("%s becomes %s, exit %d", reason, p.Code, p.Exit())
		}
	}
}

func TestSignalsDecideTheExitCode(t *testing.T) {
	for sig, want := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(signalled{sig})
		for _, err := range []error{context.Canceled, context.Cause(ctx), fmt.Errorf("stream: %w", context.Cause(ctx))} {
			if code, stderr := runWith(t, ctx, err); code != want || stderr != "" {
				t.Errorf("%v with %v: got %d %q", sig, err, code, stderr)
			}
		}
		if code, _ := runWith(t, ctx, nil); code != 0 {
			t.Errorf("a command that ends well after %v exits %d", sig, code)
		}
		if code, _ := runWith(t, ctx, errors.New("broke")); code != 1 {
			t.Errorf("a failure after %v exits %d", sig, code)
		}
	}
}

func TestSignalsEndTheRun(t *testing.T) {
	for _, c := range []struct {
		rule   string
		second os.Signal
		finish bool // the command stops in time
		after  time.Duration
		end    ui.Exit
	}{
		{"a command that stops is let be", nil, true, 0, -1},
		{"one that does not is ended", nil, false, stopLimit, ui.ExitTerminated},
		{"the second signal ends at once", os.Interrupt, false, 0, ui.ExitInterrupted},
		{"a terminal that goes away after it ends nothing", syscall.SIGHUP, false, stopLimit, ui.ExitTerminated},
	} {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(context.Background())
				signals, done, ended := make(chan os.Signal, 1), make(chan struct{}), make(chan ui.Exit, 1)
				returned := make(chan struct{})
				go func() {
					awaitSignals(cancel, signals, done, func(e ui.Exit) { ended <- e })
					close(returned)
				}()
				signals <- syscall.SIGTERM
				<-ctx.Done()
				if sig, ok := signalledBy(ctx); !ok || sig.exit() != ui.ExitTerminated {
					t.Errorf("the cause is %v", context.Cause(ctx))
				}
				start := time.Now()
				if c.second != nil {
					signals <- c.second
				}
				if c.finish {
					close(done)
				}
				<-returned
				if took := time.Since(start); took != c.after {
					t.Errorf("ended after %v", took)
				}
				if c.end >= 0 && <-ended != c.end || c.end < 0 && len(ended) > 0 {
					t.Error("ended with another code")
				}
			})
		})
	}
}

func TestGlobalFlagsFromTheEnvironment(t *testing.T) {
	var errs, out strings.Builder
	run := func(env ...string) int {
		errs.Reset()
		out.Reset()
		return Run(t.Context(), Invocation{Args: []string{"version"}, Environ: env, Dir: t.TempDir(), Streams: ui.Buffers(ui.EnvOf(env), nil, &out, &errs)})
	}
	if code := run("PUBSUBCTL_JSON=1"); code != 0 || !strings.HasPrefix(out.String(), "{") {
		t.Errorf("PUBSUBCTL_JSON: %d %q", code, out.String())
	}
	if code := run("PUBSUBCTL_JSON="); code != 0 || strings.HasPrefix(out.String(), "{") {
		t.Errorf("an empty variable counts: %d %q", code, out.String())
	}
	if code := run("PUBSUBCTL_REQUEST_TIMEOUT=soon"); code != 3 || !strings.Contains(errs.String(), "PUBSUBCTL_REQUEST_TIMEOUT") {
		t.Errorf("a bad value: %d %q", code, errs.String())
	}
}

func TestSuggestions(t *testing.T) {
	names := []string{"publish", "subscribe", "relay", "token", "tail"}
	for word, want := range map[string]string{"publsh": "publish", "pbulish": "publish", "sub": "subscribe", "rely": "relay", "Token": "token",
		"xyz": "", "": "", "t": "", strings.Repeat("p", 100): ""} {
		if got := closest(word, names); got != want {
			t.Errorf("%q suggests %q, want %q", word, got, want)
		}
	}
}

func TestLimitsInHelpAreThoseOfTheCode(t *testing.T) {
	text, _ := helpText("limits")
	for _, want := range []string{fmt.Sprint(pubsub.MaxPayload), fmt.Sprintf("%d distinct", pubsub.MaxStreamTopics),
		fmt.Sprintf("%d minutes", int(pubsub.Grace.Minutes())), fmt.Sprintf("%d hours", int(pubsub.Linger.Hours()))} {
		if !strings.Contains(text, want) {
			t.Errorf("help limits does not say %s", want)
		}
	}
}

func TestExitCodesInHelpAreComplete(t *testing.T) {
	text, _ := helpText("exit-codes")
	for _, e := range []ui.Exit{ui.ExitOK, ui.ExitFailed, ui.ExitUsage, ui.ExitConfig, ui.ExitAuth, ui.ExitNotFound, ui.ExitNetwork,
		ui.ExitTimeout, ui.ExitNo, ui.ExitPartial, ui.ExitBug, ui.ExitInterrupted, ui.ExitTerminated, ui.ExitHungUp} {
		if !strings.Contains(text, fmt.Sprintf("\n%5d  ", int(e))) {
			t.Errorf("%d is missing", int(e))
		}
	}
	if strings.Contains(text, "@CODES@") || !strings.Contains(text, string(ui.APIPartlyDone)) {
		t.Error("the table of codes is missing")
	}
}

func FuzzCommandLine(f *testing.F) {
	for _, s := range []string{"version --json", "context show -c x", "help exit-codes", "--url x contxt", "-vvq version", "context add -- -x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Fields(line)
		root := testTree(t)
		r := &run{inv: Invocation{Args: words}, root: root}
		_ = r.unknown() // must not panic
		c, rest, err := root.Find(words)
		if err == nil && c.HasSubCommands() && r.unknown() != nil && firstWord(c, rest) == "" {
			t.Errorf("%q: unknown command without a word", line)
		}
	})
}
