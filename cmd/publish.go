package cmd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// Bounds of --parallel, and what --rate takes of it when nothing is said.
const (
	maxParallel  = 512
	rateParallel = 64
)

type publishOptions struct {
	topic             string
	body              []string // at most one
	file              string
	lines, null       bool
	count             int
	every             ui.Duration
	rate              ui.Rate
	parallel          int
	retain            bool
	ttl               ui.Duration
	ttlGiven          bool
	transport         string
	base64In, expand  bool
	confirm           ui.Duration
	confirmGiven      bool
	countGiven, paced bool
}

func newPublish(d deps) *cobra.Command {
	o := publishOptions{transport: "http", confirm: ui.Duration(5 * time.Second), count: 1}
	c := &cobra.Command{
		Use:     "publish TOPIC [BODY|-]",
		Aliases: []string{"pub"},
		Short:   "Publish a message, or many",
		Long: "Publish BODY to TOPIC: the argument, a file, or stdin. Success means that the\n" +
			"service took the message; how many received it is not known.\n\n" +
			"A retained message reaches durable streams and MQTT clients only; --retain --ttl 0\n" +
			"with the body '' clears it. With --template the body is a Go template over .n, .time,\n" +
			".topic and, with --lines, .line. Up to --parallel requests are in flight at once;\n" +
			"above 1 the order of messages is kept only on plain HTTP and for bodies not read\n" +
			"from stdin.",
		Example: "  pubsubctl publish test 'hello world'\n" +
			"  echo '{\"n\":1}' | pubsubctl publish test\n" +
			"  pubsubctl publish test '{{.n}} at {{.time}}' --template --count 100 --rate 50/s\n" +
			"  pubsubctl publish test 'on' --retain --ttl 1h --confirm\n" +
			"  tail -f app.log | pubsubctl publish logs --lines",
		Args:              argsTopicFlag(1, 2, "a topic", "a body"),
		ValidArgsFunction: noCompletion,
		Annotations:       notes("subscribe, help limits, help transports", "one object per message"),
		RunE: func(c *cobra.Command, args []string) error {
			args = withTopicFlag(c, args)
			o.topic, o.body = args[0], args[1:]
			if err := o.check(c); err != nil {
				return err
			}
			return runPublish(c, d, o)
		},
	}
	o.define(c)
	return c
}

func (o *publishOptions) define(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.file, "file", "", "read the body from `FILE`; - is stdin")
	f.BoolVar(&o.lines, "lines", false, "publish each line of the input")
	f.BoolVar(&o.null, "null", false, "publish each piece of the input that ends in a NUL byte")
	f.IntVar(&o.count, "count", o.count, "publish this many; with --every or --rate alone, until stopped")
	f.Var(&o.every, "every", "start a message this often")
	f.Var(&o.rate, "rate", "start so many per time, such as 100/s")
	f.IntVar(&o.parallel, "parallel", 0, "requests in flight at most (default 1, with --rate 64)")
	f.BoolVar(&o.retain, "retain", false, "keep as the topic's last message")
	f.Var(&o.ttl, "ttl", "how long to keep a retained message, in whole seconds; 0 clears it")
	f.StringVar(&o.transport, "transport", o.transport, "http or mqtt")
	f.BoolVar(&o.base64In, "base64-in", false, "the body is base64; publish what it stands for")
	f.Var(&o.confirm, "confirm", "subscribe too, and wait this long for the message to come back")
	f.Lookup("confirm").NoOptDefVal = "5s"
	f.BoolVar(&o.expand, "template", false, "the body is a Go template, expanded for each message")
	noDefault(f, "every", "ttl", "confirm")
	f.SortFlags = false
	defineTopicFlag(c)
	completeWords(c, "transport", "http", "mqtt")
}

// defineTopicFlag adds -t, for those used to other clients.
func defineTopicFlag(c *cobra.Command) {
	c.Flags().StringArrayP("topic", "t", nil, "topic")
	_ = c.Flags().MarkHidden("topic")
}

// withTopicFlag puts the topics of -t before the arguments.
func withTopicFlag(c *cobra.Command, args []string) []string {
	topics, _ := c.Flags().GetStringArray("topic")
	return append(topics, args...)
}

// argsTopicFlag is argsRange with the topics of -t counted as arguments.
func argsTopicFlag(least, most int, names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		return argsRange(least, most, names...)(c, withTopicFlag(c, args))
	}
}

// check judges what needs neither input nor service.
func (o *publishOptions) check(c *cobra.Command) error {
	f := c.Flags()
	o.ttlGiven, o.confirmGiven, o.countGiven = f.Changed("ttl"), f.Changed("confirm"), f.Changed("count")
	o.paced = f.Changed("every") || o.rate.IsSet()
	bad := func(text string) error { return usage(c, ui.UsageBadFlag, text) }
	switch {
	case o.transport != "http" && o.transport != "mqtt":
		return bad("--transport takes http or mqtt, not " + quote(o.transport))
	case f.Changed("every") && o.rate.IsSet():
		return bad("give --every or --rate, not both")
	case o.lines && o.null:
		return bad("give --lines or --null, not both")
	case o.count < 1:
		return bad("--count takes a number above zero")
	case o.parallel < 0 || o.parallel > maxParallel:
		return bad(fmt.Sprintf("--parallel takes 1 to %d", maxParallel))
	case o.ttlGiven && !o.retain:
		return bad("--ttl is for retained messages: add --retain")
	case o.file != "" && len(o.body) > 0:
		return bad("give a body or --file, not both")
	case o.confirmGiven && (o.many() || o.confirm == 0):
		return bad("--confirm is for one message, and takes some time")
	case o.confirmGiven && o.ttlGiven && o.ttl == 0:
		return bad("--ttl 0 is delivered to nobody, so there is nothing to confirm")
	}
	return o.checkBody(c)
}

// fromStdin reports whether bodies are read from stdin, if anything is there.
func (o *publishOptions) fromStdin() bool {
	if o.file != "" {
		return o.file == "-"
	}
	return o.split() || len(o.body) == 0 || o.body[0] == "-"
}

// checkBody judges where the body is to come from.
func (o *publishOptions) checkBody(c *cobra.Command) error {
	literal := len(o.body) > 0 && o.body[0] != "-"
	if o.split() && literal != o.expand {
		return usage(c, ui.UsageBadFlag, "--lines and --null take the bodies from the input; a BODY beside them is a --template")
	}
	return nil
}

// split reports whether the input holds several messages.
func (o *publishOptions) split() bool { return o.lines || o.null }

// many reports whether there may be more than one message.
func (o *publishOptions) many() bool { return o.split() || o.paced || o.count > 1 }

// message is what every message is published with.
func (o *publishOptions) message() client.PublishOptions {
	return client.PublishOptions{Retain: o.retain, TTL: o.ttl.D(), Clear: o.ttlGiven && o.ttl == 0, MQTT: o.transport == "mqtt"}
}

// batch is how the messages are spaced.
func (o *publishOptions) batch() client.BatchOptions {
	b := client.BatchOptions{Message: o.message(), Every: max(o.every.D(), o.rate.Every()), Parallel: max(o.parallel, 1)}
	switch {
	case o.transport == "mqtt":
		b.Parallel = o.parallel // 0 lets the client choose: its packets need no waiting for
	case o.parallel == 0 && o.rate.IsSet() && !o.split():
		b.Parallel = rateParallel
	}
	return b
}

func runPublish(c *cobra.Command, d deps, o publishOptions) error {
	ctx, stop := context.WithCancel(c.Context())
	defer stop()
	if o.fromStdin() && d.tokenOnStdin() {
		return usage(c, ui.UsageBadFlag, "stdin cannot hold both the token and the body").
			Because("--token - reads all of it; give the body as an argument or with --file")
	}
	next, closeInput, err := d.bodies(ctx, o)
	if err != nil {
		return err
	}
	defer closeInput()
	n := need{write: []string{o.topic}}
	if o.confirmGiven {
		n.read = n.write
	}
	batch := o.batch()
	cl, conn, closeAll, err := d.service(c, n, max(batch.Parallel, 1))
	if err != nil {
		return err
	}
	defer closeAll()
	d.warnTopics([]string{o.topic}, false)
	next = d.warnCR(next, o)
	p := &publishing{d: d, o: o, asked: asked{verb: "publish", topics: []string{o.topic}, echo: o.confirmGiven, conn: conn}, out: d.output()}
	if o.confirmGiven {
		return p.confirmed(ctx, cl, next)
	}
	if o.transport == "http" {
		batch.Dial = o.dialer(conn.url, batch.Parallel)
	}
	began := time.Now()
	err = cl.PublishAll(ctx, pubsub.Topic(o.topic), next, batch, func(s client.Sent) error { return p.report(ctx, s) })
	return p.summary(err, time.Since(began))
}

// dialer allows one pipelined connection where that is safe: plain HTTP without
// a proxy, and messages that are made here and need not be waited for.
func (o *publishOptions) dialer(address string, parallel int) func(context.Context, string, string) (net.Conn, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || parallel < 2 || o.split() || o.batch().Every > time.Millisecond {
		return nil
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); proxy != nil || err != nil {
		return nil
	}
	return (&net.Dialer{Timeout: 10 * time.Second}).DialContext
}

// publishing reports on the messages of one run. Its methods are called one at
// a time.
type publishing struct {
	d     deps
	o     publishOptions
	asked asked
	out   *ui.Output

	sent  int
	bytes int64
	first time.Duration // how long the first took
}

// publishedJSON is what --json prints for a message.
type publishedJSON struct {
	Type      string   `json:"type"`
	Topic     string   `json:"topic"`
	Size      int      `json:"size"`
	Transport string   `json:"transport"`
	LatencyMS float64  `json:"latency_ms"`
	Retained  bool     `json:"retained"`
	N         int      `json:"n,omitempty"`
	Confirmed *bool    `json:"confirmed,omitempty"`
	EchoMS    *float64 `json:"echo_ms,omitempty"`
}

func (p *publishing) record(s client.Sent) publishedJSON {
	j := publishedJSON{Type: "published", Topic: p.o.topic, Size: s.Size, Transport: p.o.transport,
		LatencyMS: millis(s.Took), Retained: p.o.retain}
	if p.o.many() {
		j.N = s.N
	}
	return j
}

// report takes the outcome of one message.
func (p *publishing) report(ctx context.Context, s client.Sent) error {
	if s.Err != nil {
		return p.failed(s)
	}
	p.sent++
	p.bytes += int64(s.Size)
	if p.sent == 1 {
		p.first = s.Took
	}
	if p.d.io.JSON {
		return p.out.Write(ctx, p.record(s))
	}
	return nil
}

// failed explains which message of many was not taken.
func (p *publishing) failed(s client.Sent) error {
	err := p.asked.problem(s.Err)
	var problem ui.Problem
	if !p.o.many() || !errors.As(err, &problem) {
		return err
	}
	problem.Err = fmt.Errorf("message %d: %w", s.N, problem.Err)
	return problem
}

// summary says how it went. What was published before a failure stays so.
func (p *publishing) summary(err error, took time.Duration) error {
	note := p.d.io.Note
	switch {
	case p.sent == 0 && err == nil:
		note("nothing published: the input was empty")
	case p.sent == 0 && p.o.many() && errors.Is(err, context.Canceled):
		note("nothing published")
	case p.sent == 1 && !p.o.many():
		note("published to %s (%s, %.1f ms)", shownTopic(p.o.topic), inBytes(int(p.bytes)), millis(p.first))
	case p.sent > 0:
		note("published %d messages to %s in %s (%.0f/s)", p.sent, shownTopic(p.o.topic), ui.FormatDuration(took.Round(time.Millisecond)), float64(p.sent)/took.Seconds())
	}
	return p.asked.problem(err)
}

// confirmed publishes one message and waits for it to come back.
func (p *publishing) confirmed(ctx context.Context, cl *client.Client, next client.Next) error {
	body, err := next(ctx, 1)
	if err != nil {
		return err
	}
	got, err := cl.PublishConfirmed(ctx, pubsub.Topic(p.o.topic), body, p.o.message(), p.o.confirm.D())
	if errors.Is(err, client.ErrEchoOnly) {
		return ui.Problemf(ui.TimeoutNotConfirmed, "the message came back to its sender and reached nobody else").
			Because("the service has no publish token").From(err)
	}
	late := errors.Is(err, client.ErrNoEcho)
	if err != nil && !late {
		return p.asked.problem(err)
	}
	if p.d.io.JSON {
		j := p.record(client.Sent{Size: len(body), Published: got.Published})
		j.Confirmed = new(!late)
		if !late {
			j.EchoMS = new(millis(got.Echo))
		}
		if err := p.out.Write(ctx, j); err != nil {
			return err
		}
	}
	if late && !p.o.message().MQTT && changedByStreams(body) {
		return ui.Problemf(ui.TimeoutNotConfirmed, "the message was taken but did not come back whole within "+p.o.confirm.String()).
			Because("it has a carriage return, which an event stream reads as the end of a line").
			Try("pubsubctl publish --confirm --transport mqtt " + pasteWord(p.o.topic) + " BODY")
	}
	if late {
		return ui.Problemf(ui.TimeoutNotConfirmed, "the message was taken but did not come back within "+p.o.confirm.String()).
			Because("a subscriber on " + quote(p.o.topic) + " was connected the whole time")
	}
	p.d.io.Note("published to %s (%s, %.1f ms), back after %.1f ms", shownTopic(p.o.topic), inBytes(len(body)), millis(got.Took), millis(got.Echo))
	return nil
}

// inBytes is a size for people.
func inBytes(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}
