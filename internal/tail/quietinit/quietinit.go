// Package quietinit keeps the toolkit of the live view from working at the start
// of commands that have no use for it.
//
// Two init functions run before main in every command of a program that the
// toolkit is merely linked into, --help included, and neither can be told not to:
//
//   - That of bubbletea, in each version 1, calls lipgloss.HasDarkBackground.
//     Where stdout is a terminal, that writes two queries to it and waits up to
//     five seconds for an answer.
//   - That of atotto/clipboard, which the text fields of bubbles import, searches
//     the PATH for five programs. On a slow file system that is felt.
//
// What asks the terminal is termenv, which takes os.Stdout for its output when it
// is initialised, and asks only if that is a terminal. So this package takes
// os.Stdout and the PATH away, and package tail, by Restore, puts them back.
//
// The order is certain. Of the packages whose imports are initialised, Go
// initialises the one whose import path sorts first (language specification,
// "Package initialization"). This package imports os and nothing else. termenv
// imports text/template, and clipboard os/exec: both import os as well and sort
// behind this package, so they have to wait for it. Package tail imports the
// toolkit and comes after it. A test in package cmd holds it to that, on a
// terminal that never answers.
package quietinit

import "os"

// kept is what was taken away; that it is set is what takes it.
var kept = hide()

type hidden struct {
	stdout  *os.File
	path    string
	pathSet bool
}

func hide() hidden {
	h := hidden{stdout: os.Stdout}
	h.path, h.pathSet = os.LookupEnv("PATH")
	os.Stdout = nil // as good as closed: no terminal
	_ = os.Unsetenv("PATH")
	return h
}

// Restore puts everything back and reports whether it could. It belongs in the
// declaration of a variable of a package that imports the toolkit: main must not
// find anything missing.
func Restore() bool {
	os.Stdout = kept.stdout
	return !kept.pathSet || os.Setenv("PATH", kept.path) == nil
}
