// Package ui is how pubsubctl speaks to people and to programs: streams, the
// colour decision, problems with their codes, records, tables, prompts, the
// values of flags, and the event log of the relay.
//
// It promises that control characters and secrets do not reach a terminal
// through it: notes, problems, tables and log lines are escaped and redacted
// here, so callers need not remember to. It promises that what it prints under
// --json is one JSON value per line and nothing else, and that codes and exit
// codes never change their meaning.
//
// It does not decide what to say, it does not know any command, and it never
// ends the process. Payload bytes that a command writes to Streams.Out itself
// are not touched; Escape is there for the case that Out is a terminal.
// Redaction is a net below careful callers, not a licence: it knows the shapes
// of tokens and keys, and it cannot know a password that looks like a word.
package ui
