package cmd

import (
	"github.com/spf13/cobra"
)

// Keys of the annotations a command carries.
const (
	noteSee  = "see"  // what to read next; printed at the end of its help
	noteJSON = "json" // what --json prints, or why there is none
	// noteAlone marks a command that has others below it and does something itself.
	noteAlone = "alone"
)

// What --json prints for a command.
const (
	jsonObject = "one object"
	jsonLines  = "one record per line"
)

// noJSON states why --json changes nothing.
func noJSON(reason string) string { return "none: " + reason }

// notes are the annotations of a command: what to see also, as "token mint, help
// tokens", and what --json prints (jsonObject, jsonLines or noJSON).
func notes(see, json string) map[string]string {
	return map[string]string{noteSee: see, noteJSON: json}
}

// noCompletion is for commands whose arguments cannot be guessed.
func noCompletion(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeWords completes a flag of c that takes one of words.
func completeWords(c *cobra.Command, flag string, words ...cobra.Completion) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// showHelp is what a command that only groups others does by itself.
func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// The templates are cobra's own layout with the words "See also" added; the
// blank lines matter.
const (
	helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

	usageTemplate = `Usage:
{{- if and .Runnable (not .HasAvailableSubCommands)}}
  {{.UseLine}}{{end}}{{if index .Annotations "alone"}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND{{end}}
{{- if .Aliases}}

Aliases:
  {{.NameAndAliases}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:
{{- range .Commands}}{{if or .IsAvailableCommand (eq .Name "help")}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Global flags:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
{{- with index .Annotations "see"}}

See also:
  {{.}}{{end}}
`
)
