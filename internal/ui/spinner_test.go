package ui

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSpinnerComesLateAndLeavesNothing: what is quick shows nothing, what takes
// long moves, and afterwards the line is empty.
func TestSpinnerComesLateAndLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, errs := quiet()
		s.Spins = true
		stop := s.Spin("quick")
		time.Sleep(spinAfter / 2)
		stop()
		if errs.Len() > 0 {
			t.Errorf("after %v it shows %q", spinAfter/2, errs)
		}
		stop = s.Spin("a\x1bstep")
		time.Sleep(spinAfter + spinEvery + spinEvery/2)
		stop()
		want := "\r| a\\x1bstep\x1b[K\r/ a\\x1bstep\x1b[K\r\x1b[K"
		if errs.String() != want {
			t.Errorf("it shows %q, want %q", errs, want)
		}
	})
}

// TestSpinnerStaysAwayWhereNothingMoves: pipes, --json, --quiet, and with log lines.
func TestSpinnerStaysAwayWhereNothingMoves(t *testing.T) {
	for _, o := range []Settings{{JSON: true}, {Quiet: true}, {Verbose: 1}} {
		s, errs := quiet()
		s.Spins = true
		s.Settle(o)
		synctest.Test(t, func(*testing.T) {
			stop := s.Spin("step")
			time.Sleep(time.Second)
			stop()
		})
		if errs.Len() > 0 {
			t.Errorf("%+v: %q", o, errs)
		}
	}
	if s, _ := quiet(); s.Spins {
		t.Error("a pipe has a spinner")
	}
}

// TestMarkedLinesAlign: the words have different lengths.
func TestMarkedLinesAlign(t *testing.T) {
	s, errs := quiet()
	s.Marked(MarkOK, "a %s", "b")
	s.Marked(MarkFail, "c")
	s.Signed(Green, "+", " d")
	s.ErrColor = true
	s.Signed(Green, "+", " e")
	if got := errs.String(); got != "ok    a b\nFAIL  c\n+ d\n\x1b[32m+\x1b[0m e\n" {
		t.Errorf("%q", got)
	}
	s.Settle(Settings{JSON: true})
	s.Marked(MarkOK, "more")
	if strings.Contains(errs.String(), "more") {
		t.Error("--json has chatter")
	}
}
