package cmd

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// stopLimit is how long a command may take to stop after the first signal.
const stopLimit = 5 * time.Second

// signalled is the cause of a context that a signal ended.
type signalled struct{ sig os.Signal }

func (s signalled) Error() string { return "received " + s.sig.String() }

// Is makes it a cancellation for those who only ask for that.
func (s signalled) Is(target error) bool { return target == context.Canceled }

// exit is the status of a process that the signal ended.
func (s signalled) exit() ui.Exit {
	switch s.sig {
	case syscall.SIGTERM:
		return ui.ExitTerminated
	case syscall.SIGHUP:
		return ui.ExitHungUp
	}
	return ui.ExitInterrupted
}

// signalledBy gives the signal that ended ctx, if one did.
func signalledBy(ctx context.Context) (signalled, bool) {
	var s signalled
	ok := errors.As(context.Cause(ctx), &s)
	return s, ok
}

// watchSignals returns a context that the first SIGINT, SIGTERM or SIGHUP ends. The
// second, or the end of stopLimit, ends the process. stop ends the watch and its
// goroutine.
//
// SIGHUP is left alone if it is ignored already: who starts a program with nohup
// wants it to outlive its terminal.
//
// SIGPIPE is taken as well, and dropped: otherwise the runtime would end the
// process at the first write to a closed stdout, before anything is tidied up.
// Ignoring it instead would be inherited by children.
func watchSignals(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals, pipe, done, ended := make(chan os.Signal, 2), make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
		// For good: one that comes while the process ends must not end it worse.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	signal.Notify(pipe, syscall.SIGPIPE)
	go func() { // owned by the caller; ends by stop
		defer close(ended)
		awaitSignals(cancel, signals, done, func(e ui.Exit) { os.Exit(int(e)) })
	}()
	return ctx, func() {
		signal.Stop(signals)
		signal.Stop(pipe)
		close(done)
		<-ended
		cancel(context.Canceled)
	}
}

// awaitSignals is the goroutine of watchSignals; end ends the process.
func awaitSignals(cancel context.CancelCauseFunc, signals <-chan os.Signal, done <-chan struct{}, end func(ui.Exit)) {
	var first signalled
	select {
	case sig := <-signals:
		first = signalled{sig}
		cancel(first)
	case <-done:
		return
	}
	late := time.After(stopLimit)
	for {
		select {
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				continue // a shell and the system both send it: nobody has become impatient
			}
			end(signalled{sig}.exit())
		case <-late:
			end(first.exit())
		case <-done:
		}
		return
	}
}
