package cmd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

func newRelayWait(d deps) *cobra.Command {
	timeout, control := ui.Duration(30*time.Second), ""
	c := &cobra.Command{
		Use:   "wait",
		Short: "Wait until a relay answers",
		Long: "wait asks the address of the context, or --url, until the Pub/Sub app answers there.\n" +
			"It exits 0 when it does and 7 when the time is over. A relay without the app is\n" +
			"asked at its control plane: --control.",
		Example: "  pubsubctl relay wait\n" +
			"  pubsubctl relay wait --url http://127.0.0.1:8080 --timeout 5s\n" +
			"  pubsubctl relay wait --control 127.0.0.1:5561",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("relay, relay exec", noJSON("says nothing on stdout")),
		RunE: func(c *cobra.Command, _ []string) error {
			if control != "" {
				return waitFor(c.Context(), d, readiness(control), timeout.D())
			}
			s, err := d.settings(c)
			if err != nil {
				return err
			}
			if !s.URL.IsSet() {
				return d.noURL(s)
			}
			return waitFor(c.Context(), d, question{s.URL.Text, "/", helloApp}, timeout.D())
		},
	}
	c.Flags().Var(&timeout, "timeout", "how long to wait")
	c.Flags().StringVar(&control, "control", "", "ask the control plane at this `ADDRESS` or URL")
	return c
}

// helloApp is what the app answers at its root.
const helloApp = "Hello from Fastly Pub/Sub!\n"

// question is what tells that a relay is there.
type question struct{ url, path, answer string }

// readiness asks the control plane, which is there with or without the app.
func readiness(control string) question {
	if !strings.Contains(control, "://") {
		control = "http://" + control
	}
	return question{strings.TrimRight(control, "/"), "/readyz", "ready\n"}
}

// pollEvery is the pause between two questions, and askLimit how long an answer
// may take: whoever holds the port and does not answer may not be who will.
const (
	pollEvery = 50 * time.Millisecond
	askLimit  = 2 * time.Second
)

func waitFor(ctx context.Context, d deps, q question, timeout time.Duration) error {
	until, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := errors.New("no answer")
	for {
		err := q.ask(until)
		if err == nil {
			d.io.Note("%s answers", q.url)
			return nil
		}
		if until.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-until.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return ui.Problemf(ui.TimeoutNotReady, q.url+" did not answer within "+ui.FormatDuration(timeout)).
				Because(innermost(last)).Try("pubsubctl relay")
		}
	}
}

// ask asks once.
func (q question) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.url+q.path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", userAgent())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if resp.StatusCode != http.StatusOK || string(body) != q.answer {
		return errors.New("something else answers there: " + resp.Status)
	}
	return nil
}
