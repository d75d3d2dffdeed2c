package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// splitCommand makes words of --exec and looks the program up now, because the
// first message may be long in coming.
func splitCommand(line string) ([]string, error) {
	words, err := config.SplitWords(line)
	if err != nil || len(words) == 0 {
		return nil, ui.Problemf(ui.UsageBadFlag, "--exec takes a command line, with its quotes closed")
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return nil, cannotRun(words[0], err)
	}
	return words, nil
}

// runner runs the command of --exec, one message at a time: a slow command
// slows reading, and more than one process never exists.
type runner struct {
	d       deps
	words   []string
	limit   time.Duration
	out     io.Writer
	failing bool // the run before failed and was announced
}

// newRunner makes a runner whose commands write to out, or to stderr where out
// holds records.
func newRunner(d deps, o subscribeOptions, out io.Writer) *runner {
	if d.io.JSON {
		out = d.io.Err
	}
	return &runner{d: d, words: o.command, limit: o.execTimeout.D(), out: out}
}

// run runs the command on one message. That it fails is announced and goes no
// further: the next message may be fine.
func (r *runner) run(ctx context.Context, m ui.Record) error {
	limited, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	c := exec.CommandContext(limited, r.words[0], r.words[1:]...)
	c.Dir, c.Env = r.d.dir, append(r.d.environ[:len(r.d.environ):len(r.d.environ)], messageEnv(m)...)
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(m.Data), r.out, r.d.io.Err
	c.WaitDelay = time.Second // for a child that keeps its output open
	err := c.Run()
	if errors.Is(err, ui.ErrReaderGone) || ctx.Err() != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if limited.Err() != nil {
		err = fmt.Errorf("it took longer than %s", ui.FormatDuration(r.limit))
	}
	if err != nil && !r.failing {
		r.d.io.Warn("%s: %v; further failures in a row are not announced", r.words[0], err)
	}
	r.failing = err != nil
	return nil
}

// messageEnv describes the message to the command. What is unknown is left out.
func messageEnv(m ui.Record) []string {
	env := []string{
		"PUBSUBCTL_MESSAGE_EVENT=" + m.Event,
		"PUBSUBCTL_MESSAGE_TIME=" + m.Time.UTC().Format(time.RFC3339Nano),
		"PUBSUBCTL_MESSAGE_SEQ=" + strconv.FormatUint(m.Seq, 10),
		"PUBSUBCTL_MESSAGE_SIZE=" + strconv.Itoa(len(m.Data)),
		"PUBSUBCTL_MESSAGE_RETAINED=" + strconv.FormatBool(*m.Retained),
	}
	if m.Topic != nil {
		env = append(env, "PUBSUBCTL_MESSAGE_TOPIC="+*m.Topic)
	}
	if m.ID != "" {
		env = append(env, "PUBSUBCTL_MESSAGE_ID="+m.ID)
	}
	return env
}
