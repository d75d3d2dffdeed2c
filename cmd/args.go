package cmd

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// quote puts text that a user typed in quotes, safe to print.
func quote(s string) string { return strconv.Quote(s) }

// shownTopic is a topic inside a sentence: in quotes if it would not be seen there,
// or not be told from the words and commas around it.
func shownTopic(t string) string {
	odd := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == ',' || r == '"' }
	if t == "" || strings.ContainsFunc(t, odd) {
		return quote(t)
	}
	return t
}

// shownTopics is a list of topics inside a sentence.
func shownTopics(topics []string) string {
	shown := make([]string, len(topics))
	for i, t := range topics {
		shown[i] = shownTopic(t)
	}
	return strings.Join(shown, ", ")
}

// argsNone refuses arguments.
func argsNone(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(c, ui.UsageBadArgument, fmt.Sprintf("%s takes no argument, got %s", c.CommandPath(), quote(args[0])))
}

// argsExact wants one argument for each name; the names are for the message.
func argsExact(names ...string) cobra.PositionalArgs {
	return argsRange(len(names), len(names), names...)
}

// argsRange wants between least and most arguments; most below zero is no limit.
// names are those of the arguments in order, for the message.
func argsRange(least, most int, names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least {
			missing := strings.Join(names[len(args):least], " and ")
			return usage(c, ui.UsageMissingArgument, c.CommandPath()+" needs "+missing)
		}
		if most >= 0 && len(args) > most {
			return usage(c, ui.UsageBadArgument, fmt.Sprintf("%s is one argument too many for %s", quote(args[most]), c.CommandPath()))
		}
		return nil
	}
}

// noDefault leaves the default out of the help of flags whose value is in force
// only when they are given: "0 clears it (default 0s)" would say the contrary.
func noDefault(f *pflag.FlagSet, names ...string) {
	for _, name := range names {
		f.Lookup(name).DefValue = ""
	}
}

// usage is a problem with the command line, with where to get help.
func usage(c *cobra.Command, code ui.Code, text string) ui.Problem {
	return ui.Problemf(code, text).Try(c.CommandPath() + " --help")
}
