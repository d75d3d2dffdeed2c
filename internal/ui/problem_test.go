package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestEveryCategoryHasOneExitCode(t *testing.T) {
	want := map[Category]Exit{
		CategoryUsage: 2, CategoryConfig: 3, CategoryAuth: 4, CategoryNotFound: 5, CategoryNetwork: 6,
		CategoryTimeout: 7, CategoryAPI: 1, CategoryFilesystem: 1, CategoryInternal: 70, "nonsense": 70,
	}
	for c, exit := range want {
		if got := c.Exit(); got != exit {
			t.Errorf("%s exits %d, want %d", c, got, exit)
		}
	}
}

func TestCodesAreUniqueOrderedAndExplained(t *testing.T) {
	order := []Category{CategoryUsage, CategoryConfig, CategoryAuth, CategoryNotFound, CategoryNetwork,
		CategoryTimeout, CategoryAPI, CategoryFilesystem, CategoryInternal}
	seen, last := map[Code]bool{}, 0
	for _, row := range Codes() {
		at := slices.Index(order, row.Code.Category())
		if at < last {
			t.Errorf("%s is out of order, or in no category", row.Code)
		}
		last = max(last, at)
		if seen[row.Code] || row.Means == "" || strings.HasSuffix(row.Means, ".") {
			t.Errorf("%s is there twice or not explained in a phrase", row.Code)
		}
		seen[row.Code] = true
		if _, reason, ok := strings.Cut(string(row.Code), "."); !ok || reason == "" {
			t.Errorf("%s has no reason", row.Code)
		}
	}
}

func TestCodesWithAnExitOfTheirOwn(t *testing.T) {
	for code, exit := range map[Code]Exit{
		AuthVerifiedNo: ExitNo, TimeoutNotConfirmed: ExitNo, APICheckFailed: ExitNo,
		APIPartlyDone: ExitPartial, NetworkAddressInUse: ExitFailed,
		AuthInvalidToken: ExitAuth, TimeoutIdle: ExitTimeout, InternalBug: ExitBug, "network.new": ExitNetwork,
	} {
		if got := (Problem{Code: code}).Exit(); got != exit {
			t.Errorf("%s exits %d, want %d", code, got, exit)
		}
	}
}

func TestProblemPrintsThreeLines(t *testing.T) {
	s, errs := quiet()
	p := Problemf(AuthTopicNotGranted, `not allowed to publish to "chat"`).
		Because("the token grants write to: news").Try("pubsubctl token mint --write chat")
	s.Problem(p)
	want := "error: not allowed to publish to \"chat\"\n  why:  the token grants write to: news\n  next: pubsubctl token mint --write chat\n"
	if errs.String() != want {
		t.Errorf("got\n%swant\n%s", errs, want)
	}
}

func TestProblemLeavesOutWhatIsUnknown(t *testing.T) {
	s, errs := quiet()
	s.Problem(Problemf(NetworkRefused, "nothing listens"))
	if errs.String() != "error: nothing listens\n" {
		t.Errorf("got %q", errs)
	}
}

func TestProblemIsOneJSONLine(t *testing.T) {
	s, errs := quiet()
	s.Settle(Settings{JSON: true})
	s.Problem(Problemf(NetworkClosed, "the <connection> broke").Because("reset").Try("pubsubctl relay"))
	want := `{"error":{"code":"network.closed","category":"network","message":"the <connection> broke","why":"reset","hint":"pubsubctl relay","exit_code":6,"retryable":true}}` + "\n"
	if errs.String() != want {
		t.Errorf("got %s", errs)
	}
}

func TestProblemEscapesAndRedacts(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		s, errs := quiet()
		s.Settle(Settings{JSON: asJSON})
		s.Secrets.Add("hunter2hunter2")
		s.Problem(Problemf(APIServerError, "said \x1b[2Jhunter2hunter2\nmore").Because("Bearer abc.def").Try("x?auth=zzz"))
		for _, bad := range []string{"\x1b", "hunter2", "abc.def", "zzz"} {
			if strings.Contains(errs.String(), bad) {
				t.Errorf("json %v: %q is in %q", asJSON, bad, errs)
			}
		}
		if n := strings.Count(errs.String(), "\n"); !asJSON && n != 3 || asJSON && n != 1 {
			t.Errorf("json %v: %d lines in %q", asJSON, n, errs)
		}
	}
}

func TestProblemKeepsItsChain(t *testing.T) {
	p := Problemf(FilesystemRead, "cannot read it").From(fmt.Errorf("open x: %w", io.ErrUnexpectedEOF))
	wrapped := fmt.Errorf("load: %w", p)
	var found Problem
	if !errors.As(wrapped, &found) || !errors.Is(wrapped, io.ErrUnexpectedEOF) {
		t.Errorf("the chain of %v is lost", wrapped)
	}
	if found.Error() != "cannot read it" {
		t.Errorf("the sentence is %q", found)
	}
	if (Problem{Code: InternalBug}).Error() != "internal.bug" {
		t.Error("a problem without a sentence should name its code")
	}
}

func FuzzProblemJSONIsOneLine(f *testing.F) {
	f.Add("a\nb", "\xff", "\u2028")
	f.Fuzz(func(t *testing.T, text, why, next string) {
		s, errs := quiet()
		s.Settle(Settings{JSON: true})
		s.Problem(Problemf(APIFailed, text).Because(why).Try(next))
		line := errs.String()
		if strings.Count(line, "\n") != 1 || !json.Valid([]byte(line)) {
			t.Errorf("not one line of JSON: %q", line)
		}
	})
}

// quiet makes streams of which the test looks at Err.
func quiet() (*Streams, *strings.Builder) {
	var errs strings.Builder
	return Buffers(EnvOf(nil), nil, io.Discard, &errs), &errs
}
