// Package noquery keeps bubbletea from questioning the terminal at the start of
// every command.
//
// Each version 1 of bubbletea has an init function that calls
// lipgloss.HasDarkBackground. Where stdout is a terminal, that writes two queries
// to it and waits up to five seconds for an answer: before main, in every command
// of a program that bubbletea is merely linked into, --help included. There is no
// option against it.
//
// What asks is termenv, which takes os.Stdout for its output when it is
// initialised, and asks only if that is a terminal. So this package takes
// os.Stdout away before that, and package tail, by Restore, puts it back.
//
// The order is certain. Of the packages whose imports are initialised, Go
// initialises the one whose import path sorts first (language specification,
// "Package initialization"). This package imports os and nothing else. termenv
// imports text/template, which imports os as well and sorts behind: it has to
// wait for this package, and termenv for it. Package tail imports bubbletea and
// comes after it. That no command asks is tested in cmd, on a terminal.
package noquery

import "os"

// stdout is the real one; that it is set is what takes it away.
var stdout = hide()

// hide leaves a file that is closed, hence no terminal, in the place of stdout.
func hide() *os.File {
	file := os.Stdout
	os.Stdout = nil
	return file
}

// Restore puts stdout back and returns it. It belongs in the declaration of a
// variable of a package that imports bubbletea: main must not see it missing.
func Restore() *os.File {
	os.Stdout = stdout
	return stdout
}
