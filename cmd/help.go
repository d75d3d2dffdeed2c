package cmd

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

//go:embed helptext/*.txt
var helpFiles embed.FS // read only

// helpTopic is one subject of help that is no command.
type helpTopic struct{ name, short string }

// helpTopics lists them in the order in which help shows them.
func helpTopics() []helpTopic {
	return []helpTopic{
		{"environment", "variables, files, and which of them wins"},
		{"exit-codes", "what each status and each code means"},
		{"output", "streams, --json, --jq, --format, the message record"},
		{"tokens", "what is in a token, and why one is refused"},
		{"limits", "sizes, counts and rates of a service"},
		{"transports", "SSE, HTTP and MQTT: what each carries"},
		{"relay", "the service on this machine, and how it differs"},
		{"tail", "the full-screen live view: filter words, bounds, clipboard"},
		{"grip", "channels, items and the publish API beneath topics"},
	}
}

func newHelp(d deps) *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND | TOPIC]",
		Short:             "Explain a command or a topic",
		Long:              "Explain a command, or one of these topics:\n\n" + helpTopicList(),
		Example:           "  pubsubctl help publish\n  pubsubctl help exit-codes\n  pubsubctl help tokens",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeHelp,
		Annotations:       notes("--help of each command", noJSON("prints text for people")),
		RunE: func(c *cobra.Command, args []string) error {
			return runHelp(d, c.Root(), args)
		},
	}
}

func runHelp(d deps, root *cobra.Command, args []string) error {
	if len(args) == 0 {
		if err := root.Help(); err != nil {
			return err
		}
		_, err := fmt.Fprint(d.io.Out, "\nTopics, each by pubsubctl help TOPIC:\n", helpTopicList())
		return err
	}
	if text, ok := helpText(args[0]); ok && len(args) == 1 {
		_, err := fmt.Fprint(d.io.Out, text)
		return err
	}
	c, rest, err := root.Find(args)
	if err == nil && len(rest) == 0 && c != root {
		c.InitDefaultHelpFlag() // as parsing --help would have done
		return c.Help()
	}
	return unknownTopic(root, strings.Join(args, " "))
}

func unknownTopic(root *cobra.Command, word string) error {
	var names []string
	for _, t := range helpTopics() {
		names = append(names, t.name)
	}
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	p := ui.Problemf(ui.UsageUnknownCommand, "no command and no topic is called "+quote(word)).Try("pubsubctl help")
	if near := closest(word, names); near != "" {
		return p.Because("did you mean " + quote(near) + "?")
	}
	return p
}

func helpTopicList() string {
	var b strings.Builder
	for _, t := range helpTopics() {
		fmt.Fprintf(&b, "  %-12s %s\n", t.name, t.short)
	}
	return b.String()
}

// helpText gives the text of a topic. The list of codes is made from the table,
// so that it cannot fall behind.
func helpText(name string) (string, bool) {
	text, err := fs.ReadFile(helpFiles, "helptext/"+name+".txt")
	if err != nil {
		return "", false
	}
	return strings.ReplaceAll(string(text), "@CODES@\n", codeList()), true
}

func codeList() string {
	var b strings.Builder
	for _, row := range ui.Codes() {
		fmt.Fprintf(&b, "  %-28s %3d  %s\n", row.Code, row.Code.Info().Exit, row.Means)
	}
	return b.String()
}

// completeHelp offers commands and topics.
func completeHelp(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	parent, _, err := c.Root().Find(args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []cobra.Completion
	for _, sub := range parent.Commands() {
		if sub.IsAvailableCommand() {
			words = append(words, cobra.CompletionWithDesc(sub.Name(), sub.Short))
		}
	}
	if len(args) == 0 {
		for _, t := range helpTopics() {
			words = append(words, cobra.CompletionWithDesc(t.name, t.short))
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
