package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// Main runs the command line of this process and returns its exit code.
func Main() int {
	environ := os.Environ()
	dir, err := os.Getwd()
	if err != nil {
		dir = "." // relative paths may fail later, with a name to show
	}
	args := os.Args[1:]
	if calledPushpin(os.Args[0]) {
		args = append([]string{"relay", pushpinName}, args...)
	}
	ctx, stop := watchSignals(context.Background())
	defer stop()
	return Run(ctx, Invocation{
		Args: args, Environ: environ, Dir: dir, Streams: ui.System(ui.EnvOf(environ)),
		Keyring: config.SystemKeyring,
	})
}

// Invocation is one run of the command line.
type Invocation struct {
	// Args are the words behind the program's name.
	Args []string
	// Environ is the environment as NAME=VALUE; the one of the process is not read.
	Environ []string
	// Dir is the working directory.
	Dir string
	// Streams is what the run reads and writes. Required.
	Streams *ui.Streams
	// Keyring asks the system keyring; nil means that there is none.
	Keyring func(service, account string) (string, error)
	// Now is the clock; nil is the real one.
	Now func() time.Time

	extra []*cobra.Command            // for tests
	adapt func(deps) []*cobra.Command // the same, for commands that need what others get
}

// Run parses the arguments, runs one command, prints what went wrong if
// something did, and returns the exit code. It starts no signal handler and
// never ends the process. If ctx ends by a signal, so does the run.
func Run(ctx context.Context, inv Invocation) (code int) {
	r := newRun(inv)
	defer r.log.close()
	defer func() {
		if v := recover(); v != nil {
			code = int(r.crashed(v, debug.Stack()))
		}
	}()
	return int(r.finish(ctx, r.execute(ctx)))
}

// run is one invocation with what it is made of.
type run struct {
	inv     Invocation
	d       deps
	root    *cobra.Command
	log     *logSwitch
	begun   bool // the command line was right, and its command was called
	settled bool // the global flags are final
}

func newRun(inv Invocation) *run {
	r := &run{inv: inv, log: &logSwitch{}}
	if inv.Now == nil {
		inv.Now = time.Now
	}
	r.d = deps{io: inv.Streams, env: ui.EnvOf(inv.Environ), environ: inv.Environ, dir: inv.Dir,
		now: inv.Now, keyring: inv.Keyring, log: slog.New(r.log), flags: &globals{}}
	r.root = newRoot(r.d)
	r.root.AddCommand(inv.extra...)
	if inv.adapt != nil {
		r.root.AddCommand(inv.adapt(r.d)...)
	}
	r.root.SetArgs(inv.Args)
	r.root.SetFlagErrorFunc(flagProblem)
	r.wire(r.root)
	return r
}

// wire wraps every command of the tree: wrong arguments become problems of
// usage, and the global flags are settled before RunE.
func (r *run) wire(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error { return asUsage(c, check(c, args)) }
	}
	if body := c.RunE; body != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			r.begun = true
			if err := r.d.settle(r.root, r.log); err != nil {
				return err
			}
			r.settled = true
			return body(c, args)
		}
	}
	for _, sub := range c.Commands() {
		r.wire(sub)
	}
}

// asUsage makes a problem of usage from an error that is none yet.
func asUsage(c *cobra.Command, err error) error {
	var p ui.Problem
	if err == nil || errors.As(err, &p) {
		return err
	}
	return usage(c, ui.UsageBadArgument, err.Error())
}

func (r *run) execute(ctx context.Context) error {
	if err := r.unknown(); err != nil {
		return err
	}
	c, err := r.root.ExecuteContextC(ctx)
	if err != nil && !r.begun {
		return asUsage(c, err) // only the command line was looked at so far
	}
	return err
}

// unknown looks for a word where a command should be, before flags are parsed:
// a mistyped command would else be reported as an unknown flag of its parent.
func (r *run) unknown() error {
	if len(r.inv.Args) > 0 && strings.HasPrefix(r.inv.Args[0], "__") {
		return nil // the completion protocol of cobra
	}
	c, rest, err := r.root.Find(r.inv.Args)
	if err != nil || !c.HasSubCommands() || c.Name() == "help" {
		return nil // parsing will report it
	}
	if word := firstWord(c, rest); word != "" {
		return unknownCommand(c, word)
	}
	return nil
}

// firstWord gives the first argument that is neither a flag nor a flag's value,
// or nothing if it comes upon a flag it does not know.
func firstWord(c *cobra.Command, args []string) string {
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" || a == "" {
			return ""
		}
		if !strings.HasPrefix(a, "-") {
			return a
		}
		next, known := takesNext(c, a)
		if !known {
			return ""
		}
		if next {
			i++
		}
	}
	return ""
}

// takesNext reports whether the flag in a has its value in the next argument,
// and whether c has that flag at all.
func takesNext(c *cobra.Command, a string) (next, known bool) {
	if name, long := strings.CutPrefix(a, "--"); long {
		name, _, inline := strings.Cut(name, "=")
		f := c.Flag(name)
		return f != nil && f.NoOptDefVal == "" && !inline, f != nil || name == "help"
	}
	for i := 1; i < len(a); i++ {
		f := shortFlag(c, a[i:i+1])
		if f == nil {
			return false, a[i] == 'h'
		}
		if f.NoOptDefVal == "" {
			return i == len(a)-1, true // what follows in a is the value
		}
	}
	return false, true
}

func shortFlag(c *cobra.Command, short string) *pflag.Flag {
	if f := c.Flags().ShorthandLookup(short); f != nil {
		return f
	}
	return c.Root().PersistentFlags().ShorthandLookup(short)
}

// finish prints what went wrong and gives the exit code. It is the only place
// that maps errors to codes.
func (r *run) finish(ctx context.Context, err error) ui.Exit {
	var exit ui.Exit
	switch {
	case err == nil, errors.Is(err, ui.ErrReaderGone):
		return ui.ExitOK
	case errors.As(err, &exit):
		return exit
	}
	if sig, ok := signalledBy(ctx); ok && errors.Is(err, context.Canceled) {
		return sig.exit()
	}
	p := asProblem(err)
	r.ready()
	r.d.io.Problem(p)
	if r.d.io.Verbose >= 2 && err.Error() != p.Error() {
		r.d.io.Note("chain: %v", err)
	}
	return p.Exit()
}

// ready settles what decides the form of a problem, if the command line was too
// wrong to get there.
func (r *run) ready() {
	if r.settled {
		return
	}
	flags := r.inv.Args
	if i := slices.Index(flags, "--"); i >= 0 {
		flags = flags[:i]
	}
	on := func(text string) bool { v, err := strconv.ParseBool(text); return v && err == nil }
	json := r.d.env("PUBSUBCTL_JQ") != "" || on(r.d.env("PUBSUBCTL_JSON"))
	for _, a := range flags { // the last one counts
		name, value, given := strings.Cut(a, "=")
		switch {
		case name == "--jq":
			json = true
		case name == "--json":
			json = !given || on(value)
		}
	}
	r.d.io.Settle(ui.Settings{JSON: json, NoColor: slices.Contains(flags, "--no-color")})
}

// crashed reports a panic: one sentence, a file with the stack, status 70.
func (r *run) crashed(v any, stack []byte) ui.Exit {
	r.ready()
	secrets := r.d.io.Secrets
	report := secrets.Redact(fmt.Sprintf("%s\n\npanic: %v\n\n%s", thisBuild(), v, stack))
	p := ui.Problemf(ui.InternalBug, "pubsubctl made a mistake and has to stop")
	if path, err := writeReport(report); err == nil {
		p = p.Because("a report without secrets is in " + path)
	}
	r.d.io.Problem(p)
	if r.d.io.Verbose >= 2 {
		_, _ = fmt.Fprintln(r.d.io.Err, ui.EscapeLines(report))
	}
	return ui.ExitBug
}

// writeReport writes a report that only its owner can read.
func writeReport(text string) (string, error) {
	f, err := os.CreateTemp("", "pubsubctl-report-*.txt")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	return f.Name(), errors.Join(err, f.Close())
}
