package ui

import "strconv"

// Exit is the status a process ends with. As an error it ends the command with
// that status and prints nothing: for a verdict that stdout already holds, and
// for the code of a child.
type Exit int

// The exit codes of pubsubctl; cli-conventions.md, section 5, is the contract.
const (
	ExitOK          Exit = 0   // done
	ExitFailed      Exit = 1   // it failed, or the server refused
	ExitUsage       Exit = 2   // wrong command line, or input was needed and not allowed
	ExitConfig      Exit = 3   // configuration, secret references, damaged data
	ExitAuth        Exit = 4   // token or key is not usable, or does not allow it
	ExitNotFound    Exit = 5   // the named thing does not exist
	ExitNetwork     Exit = 6   // no connection, or it broke
	ExitTimeout     Exit = 7   // time ran out first
	ExitNo          Exit = 8   // checked, and the answer is no
	ExitPartial     Exit = 9   // part is done; run it again to finish
	ExitBug         Exit = 70  // a bug in pubsubctl
	ExitHungUp      Exit = 129 // ended by SIGHUP: its terminal went away
	ExitInterrupted Exit = 130 // ended by SIGINT
	ExitTerminated  Exit = 143 // ended by SIGTERM
)

// Error names the status, for logs; the edge prints nothing for it.
func (e Exit) Error() string { return "exit status " + strconv.Itoa(int(e)) }

// Category is the part of a Code before the dot.
type Category string

// The categories of problems; each has one exit code, see Category.Exit.
const (
	CategoryUsage      Category = "usage"
	CategoryConfig     Category = "config"
	CategoryAuth       Category = "auth"
	CategoryNotFound   Category = "not_found"
	CategoryNetwork    Category = "network"
	CategoryTimeout    Category = "timeout"
	CategoryAPI        Category = "api"
	CategoryFilesystem Category = "filesystem"
	CategoryInternal   Category = "internal"
)

// Exit gives the exit code of a category. A few codes have another one, which
// their row in the table says. An unknown category is a bug.
func (c Category) Exit() Exit {
	switch c {
	case CategoryUsage:
		return ExitUsage
	case CategoryConfig:
		return ExitConfig
	case CategoryAuth:
		return ExitAuth
	case CategoryNotFound:
		return ExitNotFound
	case CategoryNetwork:
		return ExitNetwork
	case CategoryTimeout:
		return ExitTimeout
	case CategoryAPI, CategoryFilesystem:
		return ExitFailed
	}
	return ExitBug
}
