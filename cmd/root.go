package cmd

// How to add a command:
//
//   - write newX(d deps) *cobra.Command in a file of its own and add it in newRoot;
//   - set Use, Short, Example (two or more lines that start with "pubsubctl"),
//     Args (argsNone, argsExact, argsRange), ValidArgsFunction (noCompletion if
//     there is nothing to complete) and Annotations: notes(see, jsonForm);
//   - flags that take one of a few words get completion by completeWords;
//   - in RunE read flags, check what needs no service, call one function;
//   - d.io has the streams: data to d.io.Out, talk through d.io.Note and
//     d.io.Warn, which are silent under --json and --quiet;
//   - d.connect gives address and token: the token given, or one signed for just
//     the topics needed; d.output gives the writer for --json and --jq;
//   - return a ui.Problem where the remedy is known, any other error otherwise, a
//     bare ui.Exit if stdout already says it all; never print an error, never
//     end the process, never install a signal handler: c.Context() ends on the
//     first signal, and context.Cause tells of it;
//   - d.log is never nil; it shows at -v (info) and -vv (debug).
//
// Every RunE runs after the global flags were settled; see wire.

import (
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// deps is what a command may use of the world. It is passed by value; what it
// points to is settled before any RunE is called.
type deps struct {
	// io is where the command reads and writes.
	io *ui.Streams
	// env looks up a variable; empty is unset. environ is all of them, for children.
	env     ui.Env
	environ []string
	// dir is the working directory.
	dir string
	// now is the clock.
	now func() time.Time
	// keyring asks the system keyring.
	keyring func(service, account string) (string, error)
	// log takes what -v shows; never nil.
	log *slog.Logger
	// flags are the global flags, valid in RunE.
	flags *globals
}

// newRoot builds the whole tree. Nothing is read and nothing runs.
func newRoot(d deps) *cobra.Command {
	root := &cobra.Command{
		Use:   "pubsubctl",
		Short: "Run, set up and use a Fastly Pub/Sub service",
		Long: "pubsubctl runs the Pub/Sub service on this machine, sets it up on Fastly, and\n" +
			"publishes to and subscribes from either.",
		Example: "  pubsubctl relay                        # the whole service on this machine\n" +
			"  pubsubctl subscribe test               # in a second terminal\n" +
			"  pubsubctl publish test 'hello world'   # in a third",
		Args:              cobra.ArbitraryArgs, // unknown commands get an error of our own
		RunE:              showHelp,
		ValidArgsFunction: noCompletion,
		Version:           thisBuild().String(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Annotations:       notes("help environment, help exit-codes, help output", noJSON("prints help")),
	}
	d.flags.define(root)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpTemplate(helpTemplate)
	printHelp := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		root.SetErr(io.Discard) // cobra would complain there of a reader that has gone
		printHelp(c, args)
		root.SetErr(d.io.Err)
	})
	root.SetOut(d.io.Out)
	root.SetErr(d.io.Err)
	root.AddCommand(
		newRelay(d),
		newToken(d),
		newPublish(d),
		newSubscribe(d),
		newTail(d),
		newGrip(d),
		newSetup(d),
		newStatus(d),
		newDoctor(d),
		newTeardown(d),
		newKey(d),
		newContext(d),
		newCompletion(d),
		newVersion(d),
		newMan(d),
	)
	help := newHelp(d)
	root.SetHelpCommand(help)
	root.AddCommand(help)
	_ = root.RegisterFlagCompletionFunc("context", completeContexts(d))
	completeWords(root, "log-format", "text", "json")
	return root
}

// settings resolves what a command talks to, with the flags of c.
func (d deps) settings(c *cobra.Command) (*config.Settings, error) { return d.settingsIn(c, "") }

// settingsIn is settings in a context of its own; empty for the one that is selected.
func (d deps) settingsIn(c *cobra.Command, context string) (*config.Settings, error) {
	given := func(name string) string {
		if name == "context" && context != "" {
			return context
		}
		if f := c.Flags().Lookup(name); f != nil && f.Changed {
			return f.Value.String()
		}
		return ""
	}
	path, explicit := d.configPath()
	return config.Resolve(config.Source{Flag: given, Env: d.env, Dir: d.dir, Path: path, MustExist: explicit})
}

// lookup is what secret references may use.
func (d deps) lookup() config.Lookup {
	return config.Lookup{Env: d.env, Stdin: d.io.In, Keyring: d.keyring, Dir: d.dir, Environ: d.environ}
}
