package cmd

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

type subscribeOptions struct {
	topics               []string
	transport            string
	durable              bool
	lastID               string
	count                int
	timeout, idle        ui.Duration
	raw                  bool
	format, filter       string
	time, decode, output string
	events, noReconnect  bool
	exec                 string
	execTimeout          ui.Duration

	// Made from the flags above by check.
	template *template.Template
	query    *ui.Query
	command  []string
}

func newSubscribe(d deps) *cobra.Command {
	o := subscribeOptions{transport: "auto", execTimeout: ui.Duration(30 * time.Second)}
	c := &cobra.Command{
		Use:     "subscribe TOPIC...",
		Aliases: []string{"sub"},
		Short:   "Print messages as they arrive",
		Long: "Print the messages of one or more topics as they arrive: on a terminal with time\n" +
			"and topic, in a pipe as body and newline, with --json as one record per line.\n\n" +
			"A plain stream never sees retained messages: --durable does, and resumes where it\n" +
			"was cut off. A message retained shortly after another may be up to two minutes\n" +
			"late. A lost connection is made again, except after a refusal; what may have been\n" +
			"missed is said each time.\n\n" +
			"--filter is a jq expression over the record, with a JSON body as .json. --exec\n" +
			"runs a program for each message, one at a time and without a shell, with the body\n" +
			"on stdin and PUBSUBCTL_MESSAGE_TOPIC, _ID, _EVENT, _TIME, _SEQ, _SIZE and\n" +
			"_RETAINED in its environment.",
		Example: "  pubsubctl subscribe test\n" +
			"  pubsubctl subscribe test --durable --count 1 --timeout 10s\n" +
			"  pubsubctl subscribe test --json --filter '.json.level == \"error\"'\n" +
			"  pubsubctl subscribe jobs --exec 'sh -c \"cat >> jobs.log\"'",
		Args:              argsTopicFlag(1, -1, "a topic"),
		ValidArgsFunction: noCompletion,
		Annotations:       notes("publish, help output, help transports", jsonLines),
		RunE: func(c *cobra.Command, args []string) error {
			o.topics = withTopicFlag(c, args)
			if err := o.check(c); err != nil {
				return err
			}
			return runSubscribe(c, d, o)
		},
	}
	o.define(c)
	return c
}

func (o *subscribeOptions) define(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.transport, "transport", o.transport, "auto, sse or mqtt")
	f.BoolVar(&o.durable, "durable", false, "follow retained messages too, and resume by id")
	f.StringVar(&o.lastID, "last-event-id", "", "resume after this `ID`")
	f.IntVar(&o.count, "count", 0, "stop after so many messages")
	f.Var(&o.timeout, "timeout", "stop after this time, with exit code 7")
	f.Var(&o.idle, "idle-timeout", "stop when no message came for this time, with exit code 7")
	noDefault(f, "timeout", "idle-timeout")
	f.BoolVar(&o.raw, "raw", false, "print bodies as they are, without newlines")
	f.StringVar(&o.format, "format", "", "print each record with this Go `TEMPLATE`, such as '{{.topic}} {{.data}}'")
	f.StringVar(&o.filter, "filter", "", "take only messages for which this `JQ` expression is true")
	f.StringVar(&o.time, "time", "", "how to print times: local, rfc3339, unix, delta or off")
	f.StringVar(&o.decode, "decode", "", "the bodies are hex or base64; print what they stand for")
	f.StringVarP(&o.output, "output-file", "o", "", "write to `FILE` instead of stdout")
	f.BoolVar(&o.events, "events", false, "print status, gaps and errors on stdout as well")
	f.BoolVar(&o.noReconnect, "no-reconnect", false, "stop when the connection is lost")
	f.StringVar(&o.exec, "exec", "", "run this `CMD` for each message")
	f.Var(&o.execTimeout, "exec-timeout", "how long CMD may take for one message")
	f.SortFlags = false
	defineTopicFlag(c)
	completeWords(c, "transport", "auto", "sse", "mqtt")
	completeWords(c, "time", "local", "rfc3339", "unix", "delta", "off")
	completeWords(c, "decode", "hex", "base64")
}

// check judges what needs no service, and compiles what must be.
func (o *subscribeOptions) check(c *cobra.Command) error {
	if err := o.checkWords(c); err != nil {
		return err
	}
	bad := func(text string) error { return usage(c, ui.UsageBadFlag, text) }
	f := c.Flags()
	switch {
	case f.Changed("count") && o.count < 1:
		return bad("--count takes a number above zero")
	case f.Changed("timeout") && o.timeout == 0, f.Changed("idle-timeout") && o.idle == 0:
		return bad("a timeout must be above zero")
	case o.format != "" && c.Root().PersistentFlags().Changed("json"), o.format != "" && c.Root().PersistentFlags().Changed("jq"):
		return bad("--format prints no JSON; leave --json and --jq out")
	case o.raw && (o.format != "" || f.Changed("time")):
		return bad("--raw prints bodies alone; leave --format and --time out")
	case o.lastID != "" && !o.durable:
		return bad("--last-event-id resumes retained messages: add --durable")
	}
	if o.lastID != "" {
		if _, err := pubsub.ParsePosition(pubsub.CleanID(o.lastID)); err != nil {
			return usage(c, ui.UsageBadFlag, "--last-event-id is not an event id").Because(strings.TrimPrefix(err.Error(), "parse resume id: "))
		}
	}
	return o.compile(c)
}

// checkWords judges the flags that take one of a few words.
func (o *subscribeOptions) checkWords(c *cobra.Command) error {
	for _, w := range [...]struct {
		flag, value string
		allowed     []string
	}{
		{"transport", o.transport, []string{"auto", "sse", "mqtt"}},
		{"time", o.time, []string{"", "local", "rfc3339", "unix", "delta", "off"}},
		{"decode", o.decode, []string{"", "hex", "base64"}},
	} {
		if !slices.Contains(w.allowed, w.value) {
			words := strings.TrimPrefix(strings.Join(w.allowed, ", "), ", ")
			return usage(c, ui.UsageBadFlag, "--"+w.flag+" takes "+words+", not "+quote(w.value))
		}
	}
	if o.overMQTT() && o.durable {
		return usage(c, ui.UsageBadFlag, "--durable is for event streams; over MQTT retained messages arrive without it")
	}
	return nil
}

// compile reads the small languages among the flags.
func (o *subscribeOptions) compile(c *cobra.Command) (err error) {
	bad := func(flag string, err error) error {
		return usage(c, ui.UsageBadFlag, "--"+flag+" cannot be read").Because(err.Error())
	}
	if o.format != "" {
		if o.template, err = ui.ParseFormat(o.format); err != nil {
			return bad("format", err)
		}
	}
	if o.filter != "" {
		if o.query, err = ui.CompileQuery(o.filter); err != nil {
			return bad("filter", err)
		}
	}
	if o.exec != "" {
		o.command, err = splitCommand(o.exec)
	}
	return err
}

func runSubscribe(c *cobra.Command, d deps, o subscribeOptions) (err error) {
	cl, conn, closeAll, err := d.service(c, need{read: o.topics}, 1)
	if err != nil {
		return err
	}
	defer closeAll()
	out, closeOut, err := d.openOutput(o.output)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeOut()) }()
	d.warnTopics(slices.Clone(o.topics), true)
	var transport client.Transport // nil is SSE
	if o.overMQTT() {
		transport = cl.MQTT()
	} else if distinct(o.topics) > 1 {
		d.io.Warn("an event stream does not say which of its topics a message is from")
	}
	ctx, cancel := context.WithCancelCause(c.Context())
	defer cancel(nil)
	s := newSubscription(d, o, conn, out, cancel)
	defer s.stopTimers()
	err = cl.Subscribe(ctx, asTopics(o.topics), client.SubscribeOptions{
		Transport: transport, Durable: o.durable, LastEventID: o.lastID, NoReconnect: o.noReconnect,
	}, func(e client.Event) error { return s.take(ctx, e) })
	if errors.Is(err, errCounted) {
		return nil
	}
	return s.asked.problem(s.timedOut(err))
}

// overMQTT reports which transport auto means: MQTT for several topics, because
// an event stream does not say which one an event is of, but SSE where ids are
// wanted.
func (o *subscribeOptions) overMQTT() bool {
	return o.transport == "mqtt" || o.transport == "auto" && distinct(o.topics) > 1 && !o.durable
}

// unique gives each topic once, in the order given.
func unique(topics []string) []string {
	var once []string
	seen := make(map[string]bool, len(topics))
	for _, t := range topics {
		if !seen[t] {
			seen[t], once = true, append(once, t)
		}
	}
	return once
}

func distinct(topics []string) int {
	return len(unique(topics))
}

func asTopics(names []string) []pubsub.Topic {
	topics := make([]pubsub.Topic, len(names))
	for i, n := range names {
		topics[i] = pubsub.Topic(n)
	}
	return topics
}

// openOutput opens where messages go.
func (d deps) openOutput(name string) (io.Writer, func() error, error) {
	if name == "" {
		return d.io.Out, func() error { return nil }, nil
	}
	f, err := os.OpenFile(d.path(name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, nil, ui.Problemf(ui.FilesystemWrite, "cannot write "+name).Because(innermost(err)).
			Try(beforeWriting(name, err)).From(err)
	}
	return f, f.Close, nil
}
