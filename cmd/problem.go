package cmd

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// coded is an error that knows its code, as those of internal/client do.
type coded interface {
	error
	Code() string
}

// asProblem finds the problem in err, or makes one from what err is.
func asProblem(err error) ui.Problem {
	var p ui.Problem
	var conf *config.Error
	var query *ui.QueryError
	var c coded
	var file *fs.PathError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &conf):
		return configProblem(conf)
	case errors.As(err, &query):
		return ui.Problem{Code: ui.UsageBadFlag, Err: errors.New("--jq fails on the output"), Why: plainQuery(query), Chain: err}
	case errors.As(err, &c):
		return ui.Problem{Code: ui.Code(c.Code()), Err: err}
	}
	if errors.As(err, &file) && !errors.Is(err, context.DeadlineExceeded) {
		return fileProblem(file, err)
	}
	return ui.Problem{Code: codeOf(err), Err: err}
}

// plainQuery is the sentence of a failed query without the mark for logs.
func plainQuery(e *ui.QueryError) string { return strings.TrimPrefix(e.Error(), "jq: ") }

// configProblem gives an error of internal/config its code and its place.
func configProblem(e *config.Error) ui.Problem {
	p := ui.Problem{Code: ui.Code("config." + string(e.Reason)), Err: e, Why: e.Detail, Next: e.Hint}
	if cause := rootCause(e.Err); cause != nil {
		p.Why = cause.Error()
	}
	return p
}

// rootCause gives what the system said, without the operation and the path,
// which the sentence names already.
func rootCause(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return nil
}

// codeOf is the code of an error nobody gave one.
func codeOf(err error) ui.Code {
	var path *fs.PathError
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return ui.TimeoutRequest
	case errors.As(err, &path):
		return fileCode(path.Op)
	case errors.As(err, &network):
		return ui.NetworkFailed
	}
	return ui.APIFailed
}

// fileProblem is what a file did that nobody explained.
func fileProblem(e *fs.PathError, chain error) ui.Problem {
	verb, code := "write ", fileCode(e.Op)
	if code == ui.FilesystemRead {
		verb = "read "
	}
	return ui.Problem{Code: code, Err: errors.New("cannot " + verb + e.Path), Why: e.Err.Error(), Chain: chain}
}

// beforeReading is the command that shows what there is in place of a file that
// cannot be read: the nearest directory that is there, or the file's own mode.
func (d deps) beforeReading(name string, err error) string {
	if !errors.Is(err, fs.ErrNotExist) {
		return "ls -ld " + pasteWord(name)
	}
	dir := filepath.Dir(name)
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(d.path(dir)); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return "ls -l " + pasteWord(dir)
}

// beforeWriting is the command that makes the directory in which a file cannot be
// written, or shows whose it is.
func beforeWriting(name string, err error) string {
	dir := pasteWord(filepath.Dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "mkdir -p " + dir
	}
	return "ls -ld " + dir
}

// cannotRun is for a program that does not start.
func cannotRun(name string, err error) ui.Problem {
	p := ui.Problemf(ui.FilesystemExec, "cannot run "+quote(name)).Because(innermost(err)).From(err)
	if errors.Is(err, exec.ErrNotFound) {
		return p.Try(`echo "$PATH"`)
	}
	return p.Try("ls -l " + pasteWord(filepath.Dir(name)))
}

func fileCode(op string) ui.Code {
	switch op {
	case "open", "read", "stat", "lstat", "readlink":
		return ui.FilesystemRead
	}
	return ui.FilesystemWrite
}
