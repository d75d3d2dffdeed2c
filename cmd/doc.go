// Package cmd is the command line of pubsubctl: it parses flags, calls one
// internal function for each command, and renders the outcome.
//
// It promises what help prints: names, flags, streams and exit codes. It is the
// only place that knows exit codes, and the only one that prints problems: a
// command returns an error, and Run turns it into text or JSON and a status.
//
// It is no library: there is nothing here for other packages to call but Main
// and Run, and it holds no logic that deserves a test without a command line.
package cmd
