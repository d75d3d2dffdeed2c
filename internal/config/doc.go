// Package config finds out what a command talks to: it reads the contexts file,
// the project file, the environment and the flags, and says of each value where
// it came from.
//
// There is one order, in one function, Resolve: flag, environment, project file,
// selected context, built-in default. It promises that a key it does not know is
// an error that names file and line, that a write changes only the table
// concerned and leaves every other byte as it was, that a file appears whole or
// not at all, with mode 0600 in a directory of mode 0700, and that no secret is
// in an error or in what Settings.List returns.
//
// It does not check that an address answers or that a credential works, and does no
// network I/O. Writers of the contexts file exclude one another by a lock of the
// system's on a file beside it; who edits it by hand at the same moment is noticed in
// all but the last instant before the rename, and then the later one wins. Secrets
// are looked up only when asked for, by Ref.Resolve.
package config
