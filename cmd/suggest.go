package cmd

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// maxDistance is how many typing mistakes a suggestion forgives.
const maxDistance = 2

// unknownCommand is the problem of a word that names no command below c.
func unknownCommand(c *cobra.Command, word string) ui.Problem {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(append(names, sub.Name()), sub.Aliases...)
		}
	}
	p := usage(c, ui.UsageUnknownCommand, "unknown command "+quote(word)+" for "+quote(c.CommandPath()))
	if near := closest(word, names); near != "" {
		return p.Because("did you mean " + quote(near) + "?")
	}
	return p
}

// flagProblem turns an error of the flag parser into a problem.
func flagProblem(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	var needs *pflag.ValueRequiredError
	switch {
	case errors.As(err, &needs):
		return usage(c, ui.UsageBadFlag, "--"+needs.GetFlag().Name+" needs a value")
	case errors.As(err, &unknown):
		return unknownFlag(c, unknown)
	case errors.As(err, &value):
		text := "--" + value.GetFlag().Name + " does not take " + quote(value.GetValue())
		return usage(c, ui.UsageBadFlag, text).Because(plainCause(value.Unwrap()))
	}
	return usage(c, ui.UsageBadFlag, err.Error())
}

func unknownFlag(c *cobra.Command, err *pflag.NotExistError) error {
	name := err.GetSpecifiedName()
	if shorts := err.GetSpecifiedShortnames(); shorts != "" {
		return usage(c, ui.UsageUnknownFlag, "unknown flag -"+name+" for "+quote(c.CommandPath()))
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	p := usage(c, ui.UsageUnknownFlag, "unknown flag --"+name+" for "+quote(c.CommandPath()))
	if near := closest(name, names); near != "" {
		return p.Because("did you mean --" + near + "?")
	}
	return p
}

// plainCause drops what strconv adds in front of its reasons.
func plainCause(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if strings.HasPrefix(text, "strconv.") || strings.HasPrefix(text, "parse error") {
		return "it is not of the right form"
	}
	return text
}

// closest finds the name a mistyped word may stand for, or nothing.
func closest(word string, names []string) string {
	best, least := "", maxDistance+1
	for _, name := range names {
		d := distance(strings.ToLower(word), name)
		if len(word) >= 3 && strings.HasPrefix(name, word) {
			d = 1
		}
		if d < least && d < len(name) {
			best, least = name, d
		}
	}
	return best
}

// distance counts the insertions, deletions and replacements between a and b,
// with two neighbours swapped counting once.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return maxDistance + 1 // no name is that long
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+differ(a[i-1], b[j-1]))
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

func differ(a, b byte) int {
	if a == b {
		return 0
	}
	return 1
}
