package cmd

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/tail"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

type tailOptions struct {
	topics    []string
	plain     bool
	buffer    int
	bytes     ui.Size
	noMouse   bool
	transport string
	durable   bool
}

func newTail(d deps) *cobra.Command {
	o := tailOptions{transport: "auto", buffer: tail.DefaultMessages, bytes: tail.DefaultBytes}
	c := &cobra.Command{
		Use:   "tail [TOPIC...]",
		Short: "Watch topics live, full screen",
		Long: "Watch topics live on the whole screen: rates per topic, the messages as a list to\n" +
			"search and filter, each in detail (pretty JSON, raw, hex, or against the one\n" +
			"before), a pane to publish from, and statistics. ? lists the keys.\n\n" +
			"At most --buffer messages and --buffer-bytes of payload are kept; what falls out\n" +
			"is counted on the screen. Without a terminal on stdin and stdout, and with\n" +
			"--plain, --json, ACCESSIBLE or TERM=dumb, it prints lines as subscribe does.",
		Example: "  pubsubctl tail chat news\n" +
			"  pubsubctl tail jobs --durable --buffer 100000\n" +
			"  pubsubctl tail chat --plain",
		Args:              argsTopicFlag(0, -1),
		ValidArgsFunction: noCompletion,
		Annotations:       notes("subscribe, publish, help tail, help transports", jsonLines),
		RunE: func(c *cobra.Command, args []string) error {
			o.topics = withTopicFlag(c, args)
			return o.run(c, d)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.plain, "plain", false, "print lines, as subscribe does")
	f.IntVar(&o.buffer, "buffer", o.buffer, "keep at most so many messages")
	f.Var(&o.bytes, "buffer-bytes", "keep at most so many bytes of them")
	f.BoolVar(&o.noMouse, "no-mouse", false, "leave the mouse to the terminal")
	f.StringVar(&o.transport, "transport", o.transport, "auto, sse or mqtt")
	f.BoolVar(&o.durable, "durable", false, "follow retained messages too, and resume by id")
	f.SortFlags = false
	defineTopicFlag(c)
	completeWords(c, "transport", "auto", "sse", "mqtt")
	return c
}

// run decides between the full screen and the lines of subscribe.
func (o *tailOptions) run(c *cobra.Command, d deps) error {
	lines := subscribeOptions{topics: o.topics, transport: o.transport, durable: o.durable}
	if err := lines.check(c); err != nil {
		return err
	}
	if o.buffer < 1 || o.bytes < 1 {
		return usage(c, ui.UsageBadFlag, "--buffer and --buffer-bytes take a number above zero")
	}
	if o.fullScreen(d) {
		return runTail(c, d, *o, nil)
	}
	if len(o.topics) == 0 {
		return usage(c, ui.UsageMissingArgument, c.CommandPath()+" needs a topic where it cannot ask for one").
			Because("there is no full screen: " + o.reason(d))
	}
	return runSubscribe(c, d, lines)
}

// fullScreen reports whether there is a screen to fill, and nobody who would
// rather have lines.
func (o *tailOptions) fullScreen(d deps) bool { return o.reason(d) == "" }

// reason is why there is no full screen.
func (o *tailOptions) reason(d deps) string {
	switch {
	case o.plain:
		return "--plain"
	case d.io.JSON:
		return "--json"
	case d.env("ACCESSIBLE") != "":
		return "ACCESSIBLE is set"
	case d.env("TERM") == "dumb":
		return "TERM=dumb"
	case !d.io.InTTY:
		return "stdin is not a terminal"
	case !d.io.OutTTY:
		return "stdout is not a terminal"
	}
	return ""
}

// runTail fills the screen until the user leaves. wrap, if not nil, changes the
// service, for tests.
func runTail(c *cobra.Command, d deps, o tailOptions, wrap func(tail.Service) tail.Service) error {
	conn, err := d.connect(c.Context(), c, need{read: o.topics})
	if err != nil {
		return err
	}
	if d.io.ErrTTY {
		d.log = nil // its lines would land on the screen
	}
	rt := client.NewHTTP(4)
	defer rt.CloseIdleConnections()
	var service tail.Service = &liveService{d: d, conn: conn, rt: rt}
	if wrap != nil {
		service = wrap(service)
	}
	in, out, _ := d.io.ForChild()
	sum, err := tail.Run(c.Context(), tail.Options{
		Service: service, Topics: asTopics(unique(o.topics)), Transport: o.transport, Durable: o.durable,
		Messages: o.buffer, Bytes: int(o.bytes), Context: conn.settings.Context.Text, URL: conn.url, Protected: conn.settings.Protected,
		Mouse: !o.noMouse, Color: d.io.OutColor, Glyphs: d.io.Glyphs, In: in, Out: out, Environ: d.environ, Dir: d.dir,
		Secrets: d.io.Secrets, Now: d.now,
	})
	d.tailSummary(sum, conn.url)
	return err
}

// tailSummary says in three lines what there was; a fourth says how to go on if
// the connection was refused.
func (d deps) tailSummary(s tail.Summary, url string) {
	note := d.io.Note
	note("%s, %s on %s in %s (%.1f/s)", counted(int(s.Messages), "message"), counted(int(s.Bytes), "byte"), counted(s.Topics, "topic"),
		ui.FormatDuration(s.Took.Round(time.Second)), float64(s.Messages)/max(1, s.Took.Seconds()))
	note("%d kept, %d dropped from the buffer, %d published", s.Kept, s.Dropped, s.Published)
	state := fmt.Sprintf("%s at the end (%s), %s, %s", s.State, url, counted(s.Reconnects, "reconnect"), counted(s.Gaps, "gap"))
	if s.Problem != nil {
		state += ": " + s.Problem.Error()
	}
	note("%s", state)
	if s.Problem != nil && s.Problem.Next != "" {
		note("next: %s", s.Problem.Next)
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
