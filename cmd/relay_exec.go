package cmd

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/relay"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

func newRelayExec(d deps) *cobra.Command {
	var o relayOptions
	c := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARG...]",
		Short: "Run a command with a relay of its own",
		Long: "exec starts a relay on free ports, runs COMMAND with its address and key in the\n" +
			"environment, stops the relay and returns COMMAND's exit code. Any number can run\n" +
			"side by side.\n\n" +
			"COMMAND sees PUBSUBCTL_URL, PUBSUBCTL_KEY_ID and PUBSUBCTL_KEY_SECRET, which make\n" +
			"pubsubctl itself use this relay, and GRIP_URL, the control plane. With --fastly-api\n" +
			"it also sees FASTLY_API_ENDPOINT and FASTLY_API_TOKEN.",
		Example: "  pubsubctl relay exec -- npm test\n" +
			"  pubsubctl relay exec --data ./hub -- sh -c 'curl -s $PUBSUBCTL_URL/'",
		Args:              argsExecCommand,
		ValidArgsFunction: completeCommand,
		Annotations:       notes("relay, relay wait, help environment", noJSON("stdout is COMMAND's")),
		RunE: func(c *cobra.Command, args []string) error {
			o.mark(c.Flags())
			return runRelayExec(c.Context(), d, o, args)
		},
	}
	o.define(c.Flags(), freePort, freePort)
	completeRelayFlags(c)
	c.Flags().SetInterspersed(false) // flags behind COMMAND are COMMAND's
	return c
}

func argsExecCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(c, ui.UsageMissingArgument, "there is no command to run")
	}
	return nil
}

// completeCommand leaves the completion of COMMAND to the shell.
func completeCommand(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// runRelayExec runs args beside a relay. Events are shown at -v only: the
// streams belong to the command.
func runRelayExec(ctx context.Context, d deps, o relayOptions, args []string) error {
	s, opt, err := startRelay(ctx, d, o, d.log)
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if err := s.Shutdown(stop); err != nil {
			d.log.Log(stop, slog.LevelWarn, "relay did not stop in time", "cause", err)
		}
	}()
	if o.readyFile != "" {
		if err := d.announce(s.Ready(), o, opt.Keys); err != nil {
			return err
		}
	}
	return d.runChild(ctx, args, relayEnv(d.environ, s.Ready(), opt))
}

// relayEnv is the environment in which a command finds the relay. What would
// lead pubsubctl elsewhere is taken out.
func relayEnv(environ []string, r relay.Ready, opt relay.Options) []string {
	ours := map[string]string{
		"PUBSUBCTL_URL": r.Hub, "GRIP_URL": gripURL(r.Control, opt.PublishKey),
		"PUBSUBCTL_TOKEN": "", "PUBSUBCTL_CONTEXT": "", "PUBSUBCTL_KEY_ID": "", "PUBSUBCTL_KEY_SECRET": "",
	}
	if keys := opt.Keys; len(keys) > 0 {
		ours["PUBSUBCTL_KEY_ID"], ours["PUBSUBCTL_KEY_SECRET"] = keys[0].ID, string(keys[0].Secret)
	}
	maps.Copy(ours, platformEnv(r))
	var env []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if _, ok := ours[name]; !ok {
			env = append(env, entry)
		}
	}
	for name, value := range ours {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// runChild runs a command on our streams and returns its exit code as an error.
// When ctx ends it is asked to end, and made to a little before we must.
func (d deps) runChild(ctx context.Context, args, env []string) error {
	child := exec.CommandContext(ctx, args[0], args[1:]...)
	child.Env, child.Dir = env, d.dir
	child.Stdin, child.Stdout, child.Stderr = d.io.ForChild()
	child.Cancel = func() error { return child.Process.Signal(childSignal(ctx)) }
	child.WaitDelay = drainTime / 2
	err := child.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return exitOf(exit)
	}
	return cannotRun(args[0], err)
}

// childSignal passes on the signal that ended us.
func childSignal(ctx context.Context) os.Signal {
	if s, ok := signalledBy(ctx); ok {
		return s.sig
	}
	return os.Interrupt
}

// exitOf is a child's exit code, or 128 and the signal that ended it, as shells say.
func exitOf(e *exec.ExitError) error {
	if ws, ok := e.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return ui.Exit(128 + int(ws.Signal()))
	}
	return ui.Exit(e.ExitCode())
}
