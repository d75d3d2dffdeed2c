package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pubsubctl/pubsubctl/internal/config"
)

// What a message tells people to run next has to concern what the command at hand
// concerned: without its -c it would be about another service, and without its
// --keep-stores it would remove more than was asked for.

// sameAgain is the command line of c once more, but for some flags, with more.
func sameAgain(c *cobra.Command, without []string, more ...string) string {
	text := c.CommandPath()
	for _, arg := range c.Flags().Args() {
		text += " " + pasteWord(arg)
	}
	return text + flagsGiven(c, slices.Concat(without, quietFlags())...) + joined(more)
}

// flagsGiven repeats the flags of a command line, but for some.
func flagsGiven(c *cobra.Command, without ...string) string {
	text := ""
	c.Flags().Visit(func(f *pflag.Flag) {
		for _, name := range without {
			if f.Name == name {
				return
			}
		}
		values := []string{f.Value.String()}
		if many, is := f.Value.(pflag.SliceValue); is {
			values = many.GetSlice()
		}
		for _, v := range values {
			if f.Value.Type() == "bool" {
				text += " " + boolText(f.Name, v)
			} else {
				text += " --" + f.Name + " " + pasteWord(v)
			}
		}
	})
	return text
}

// agreeing are the flags that answer a question.
func agreeing() []string { return []string{"yes", "confirm"} }

// completeFix makes a command concern what this one concerned: it repeats the
// flags that chose it.
func (d deps) completeFix(s *config.Settings) func(string) string {
	flags := ""
	add := func(flag, value string) {
		if value != "" {
			flags += " " + flag + " " + pasteWord(value)
		}
	}
	if s.Context.Text != s.Contexts.Selected() {
		add("-c", s.Context.Text)
	}
	add("--config", d.flags.config)
	add("--service-id", d.flags.serviceID)
	api := ""
	if s.APIURL.Origin.Level == config.Flag {
		api = " --api-url " + pasteWord(s.APIURL.Text)
	}
	at := ""
	if s.URL.Origin.Level == config.Flag {
		at = " --url " + pasteWord(s.URL.Text)
	}
	return func(command string) string {
		rest, ours := strings.CutPrefix(command, "pubsubctl ")
		verb, _, _ := strings.Cut(rest, " ")
		switch {
		case !ours || verb == "relay" || verb == "help" || verb == "version":
			return command
		case verb == "setup": // has --app-url instead
			return command + flags + api
		case slices.Contains([]string{"status", "doctor", "teardown", "key"}, verb):
			return command + flags + at + api
		case verb == "token" || strings.Contains(command, " --url "):
			return command + flags
		}
		return command + flags + at
	}
}
