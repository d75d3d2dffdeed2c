package cmd

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// testTree is the command tree as a run builds it, on streams that go nowhere.
func testTree(t *testing.T) *cobra.Command {
	t.Helper()
	r := newRun(Invocation{Dir: t.TempDir(), Streams: ui.Buffers(ui.EnvOf(nil), nil, io.Discard, io.Discard)})
	r.root.InitDefaultVersionFlag()
	return r.root
}

// walk calls check for every command of the tree, as a subtest of its name.
func walk(t *testing.T, check func(t *testing.T, c *cobra.Command)) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		t.Run(c.CommandPath(), func(t *testing.T) { check(t, c) })
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(testTree(t))
}

func TestEveryCommandHasASummary(t *testing.T) {
	walk(t, func(t *testing.T, c *cobra.Command) {
		first := c.Short[:min(1, len(c.Short))]
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || first != strings.ToUpper(first) || len(c.Short) > 70 {
			t.Errorf("summary %q: one short line, with a capital, without a dot", c.Short)
		}
	})
}

func TestEveryCommandSaysWhatToSeeNext(t *testing.T) {
	walk(t, func(t *testing.T, c *cobra.Command) {
		if c.Annotations[noteSee] == "" {
			t.Error("no see also; use notes")
		}
	})
}

func TestEveryCommandPrintsJSONOrSaysWhyNot(t *testing.T) {
	walk(t, func(t *testing.T, c *cobra.Command) {
		note := c.Annotations[noteJSON]
		if reason, none := strings.CutPrefix(note, "none:"); note == "" || none && strings.TrimSpace(reason) == "" {
			t.Errorf("--json prints %q: name its form, or the reason why there is none", note)
		}
		if c.InheritedFlags().Lookup("json") == nil && c.PersistentFlags().Lookup("json") == nil {
			t.Error("--json is not accepted")
		}
	})
}

func TestEveryCommandCompletes(t *testing.T) {
	walk(t, func(t *testing.T, c *cobra.Command) {
		if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 {
			t.Error("arguments have no completion; use noCompletion where nothing can be guessed")
		}
		if c.Args == nil {
			t.Error("arguments are not checked; use argsNone, argsExact or argsRange")
		}
	})
}

func TestEveryCommandReturnsItsErrors(t *testing.T) {
	walk(t, func(t *testing.T, c *cobra.Command) {
		if c.Run != nil || c.RunE == nil {
			t.Error("use RunE")
		}
		if c.PersistentPreRun != nil || c.PersistentPreRunE != nil || c.PreRun != nil || c.PreRunE != nil {
			t.Error("steps before RunE run before the global flags are settled")
		}
	})
}

func TestFlagsKeepToTheConventions(t *testing.T) {
	// The daily few: -t is hidden, on publish and subscribe.
	shorts := "cqvyoht"
	walk(t, func(t *testing.T, c *cobra.Command) {
		seen := map[string]string{}
		check := func(f *pflag.Flag) {
			if f.Name != strings.ToLower(f.Name) || strings.ContainsAny(f.Name, "_ ") {
				t.Errorf("--%s is not in kebab case", f.Name)
			}
			if strings.HasPrefix(f.Usage, strings.ToUpper(f.Usage[:1])) && f.Usage[:1] != strings.ToLower(f.Usage[:1]) && !strings.HasPrefix(f.Usage, "JSON") && !strings.HasPrefix(f.Usage, "URL") {
				t.Errorf("the usage of --%s starts with a capital: %q", f.Name, f.Usage)
			}
			if strings.HasSuffix(f.Usage, ".") {
				t.Errorf("the usage of --%s ends with a dot", f.Name)
			}
			if f.Shorthand == "" {
				return
			}
			if !strings.Contains(shorts, f.Shorthand) {
				t.Errorf("-%s is not one of the short flags", f.Shorthand)
			}
			if other := seen[f.Shorthand]; other != "" && other != f.Name {
				t.Errorf("-%s is --%s and --%s", f.Shorthand, other, f.Name)
			}
			seen[f.Shorthand] = f.Name
		}
		c.LocalFlags().VisitAll(check)
		c.InheritedFlags().VisitAll(check)
		global := c.Root().PersistentFlags()
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if c != c.Root() && global.Lookup(f.Name) != nil {
				t.Errorf("--%s is a global flag and means one thing everywhere", f.Name)
			}
		})
	})
}

func TestGlobalFlagsAreThoseOfTheContract(t *testing.T) {
	var got []string
	testTree(t).PersistentFlags().VisitAll(func(f *pflag.Flag) { got = append(got, f.Name) })
	want := []string{"context", "url", "service-id", "token", "json", "jq", "quiet", "verbose", "log-format",
		"no-color", "no-input", "yes", "request-timeout", "config"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestEveryExampleParses proves that examples name commands, flags and arguments
// that exist. What they do is proved by the scripts.
func TestEveryExampleParses(t *testing.T) {
	walk(t, func(t *testing.T, c *cobra.Command) {
		examples := commandLines(c.Example)
		if len(examples) < 2 {
			t.Errorf("%d examples, at least two are wanted", len(examples))
		}
		for _, line := range examples {
			if err := parses(testTree(t), line); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
}

// commandLines gives the calls of pubsubctl in a text, without comments and with
// the parts of a pipe taken apart.
func commandLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "  #")
		for _, part := range strings.Split(line, " | ") {
			at := strings.Index(part, "pubsubctl ")
			if at < 0 {
				continue
			}
			part, _, _ = strings.Cut(part[at:], " > ")
			part, _, _ = strings.Cut(part, " &")
			lines = append(lines, strings.TrimRight(strings.TrimSpace(part), ")"))
		}
	}
	return lines
}

// parses finds the command of a line and checks its flags and arguments.
func parses(root *cobra.Command, line string) error {
	words, err := config.SplitWords(line)
	if err != nil {
		return err
	}
	c, rest, err := root.Find(words[1:])
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); errors.Is(err, pflag.ErrHelp) {
		return nil // COMMAND --help
	} else if err != nil {
		return err
	}
	if c.HasSubCommands() && c.Flags().NArg() > 0 {
		return unknownCommand(c, c.Flags().Arg(0))
	}
	return c.ValidateArgs(c.Flags().Args())
}

func TestHelpTopicsAreComplete(t *testing.T) {
	for _, topic := range helpTopics() {
		text, ok := helpText(topic.name)
		if !ok || len(text) < 400 {
			t.Errorf("%s has no text worth reading", topic.name)
		}
		for line := range strings.Lines(text) {
			if ui.Columns(line) > 100 || strings.HasSuffix(line, " \n") {
				t.Errorf("%s: %q is too long or ends in a space", topic.name, line)
			}
		}
		for _, line := range commandLines(text) {
			if strings.Contains(line, "prints") || strings.Contains(line, "help TOPIC") || strings.Contains(line, "runs ") {
				continue // a sentence about a command, not a call
			}
			if err := parses(testTree(t), line); err != nil {
				t.Errorf("%s: %s: %v", topic.name, line, err)
			}
		}
	}
}

func TestNoSecretsInHelp(t *testing.T) {
	walk(t, func(t *testing.T, c *cobra.Command) {
		if text := c.Long + c.Example; ui.Redact(text) != text {
			t.Errorf("help shows what looks like a credential: %s", ui.Redact(text))
		}
	})
}
