package loadtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// programLimit bounds one start of a program under measurement.
const programLimit = 10 * time.Second

// roleNothing is a child that ends as soon as it has begun.
const roleNothing = "nothing"

// Build compiles the main package pkg, an import path or a relative directory,
// into the file out, without debug information, as a release is.
func Build(ctx context.Context, pkg, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, clip(text))
	}
	return nil
}

// ToExit is the time from starting a program until it has ended with exit code 0.
func ToExit(ctx context.Context, argv ...string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	return timeExit(exec.CommandContext(ctx, argv[0], argv[1:]...))
}

// Nothing is the time a Go program takes to start and to end. It needs the
// running binary to call Child.
func Nothing(ctx context.Context) (time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("find own binary: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), envRole+"="+roleNothing)
	return timeExit(cmd)
}

func timeExit(cmd *exec.Cmd) (time.Duration, error) {
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	return time.Since(began), nil
}

// ToFirstLine is the time from starting a program until its first line on
// standard output; the program is then killed.
func ToFirstLine(ctx context.Context, argv ...string) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	errs := new(tail)
	cmd.Stderr = errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	_, err = bufio.NewReader(out).ReadSlice('\n')
	took = time.Since(began)
	_ = cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // it was killed, so it cannot have succeeded
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return 0, fmt.Errorf("read first line of %s: %w%s", cmd.Path, err, errs.note())
	}
	return took, nil
}
