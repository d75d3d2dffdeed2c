package cmd

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// maxItem is the largest body read: more than any publish endpoint takes.
const maxItem = 4 << 20

func newGrip(d deps) *cobra.Command {
	c := &cobra.Command{
		Use:   "grip",
		Short: "Talk to Fanout itself, beneath topics",
		Long: "grip works with channels and items: what Fanout and Pushpin hold connections by,\n" +
			"for origins of any kind.",
		Example: "  pubsubctl grip publish room 'hello'\n" +
			"  pubsubctl help grip",
		Args:              cobra.ArbitraryArgs,
		RunE:              showHelp,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("help grip", noJSON("prints help")),
	}
	c.AddCommand(newGripPublish(d))
	return c
}

// gripOptions are the flags of grip publish, and what they come to.
type gripOptions struct {
	url                  string
	as                   []string
	hint, close, refresh bool
	contentType          string
	header, meta         []string
	sender               string
	item                 client.GripItem
	body                 []string // at most one
}

func newGripPublish(d deps) *cobra.Command {
	var o gripOptions
	c := &cobra.Command{
		Use:     "publish CHANNEL [BODY|-]",
		Aliases: []string{"pub"},
		Short:   "Publish an item to a channel",
		Long: "Publish BODY, the argument or stdin, to whoever is held on CHANNEL: as bytes to\n" +
			"streams, as the answer to long-polls, as a message to WebSockets. --as chooses\n" +
			"among these. --hint, --close and --refresh ask something of the connections in\n" +
			"place of a body. Success means that the item was taken, not that anybody listens.\n\n" +
			"It goes to --grip-url or GRIP_URL, as GRIP libraries understand it: the address of\n" +
			"a relay or of Pushpin, such as http://localhost:5561/, or of a hosted service, such\n" +
			"as https://api.fastly.com/service/ID. With the parameter key it sends that key, with\n" +
			"iss and key a token signed with the key, with user:password@ both as Basic;\n" +
			"without a GRIP URL it goes to what the context names: the usual relay on this machine,\n" +
			"or the service with its API token.",
		Example: "  pubsubctl grip publish room 'hello'\n" +
			"  printf 'data: hi\\n\\n' | pubsubctl grip publish room --as http-stream --id 6 --prev-id 5\n" +
			"  pubsubctl grip publish room '{\"n\":1}' --as http-response --content-type application/json\n" +
			"  pubsubctl grip publish room --close --code 4001",
		Args:              argsRange(1, 2, "a channel", "a body"),
		ValidArgsFunction: noCompletion,
		Annotations:       notes("publish, relay, help grip", jsonObject),
		RunE: func(c *cobra.Command, args []string) error {
			o.item.Channel, o.body = args[0], args[1:]
			if err := o.check(c); err != nil {
				return err
			}
			return runGripPublish(c, d, o)
		},
	}
	o.define(c)
	return c
}

func (o *gripOptions) define(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.url, "grip-url", "", "`URL` to publish to; default is GRIP_URL, then the context's")
	f.StringArrayVar(&o.as, "as", nil, "only this `FORMAT`: http-stream, http-response or ws-message; repeatable")
	f.StringVar(&o.item.ID, "id", "", "`ID` of the item; one seen within a minute is dropped")
	f.StringVar(&o.item.PrevID, "prev-id", "", "`ID` of the item before, to put items in order")
	f.BoolVar(&o.item.NoSeq, "no-seq", false, "deliver at once, whatever is missing before")
	f.BoolVar(&o.hint, "hint", false, "have streams fetch their next link, and long-polls ask again")
	f.BoolVar(&o.close, "close", false, "end streams and WebSockets")
	f.BoolVar(&o.refresh, "refresh", false, "have WebSockets ask their origin")
	f.BoolVar(&o.item.Binary, "bin", false, "make the WebSocket message a binary one")
	f.StringVar(&o.contentType, "content-type", "", "`TYPE` of the answer to long-polls")
	f.StringArrayVar(&o.header, "header", nil, "header of that answer, as `'NAME: VALUE'`; repeatable")
	f.IntVar(&o.item.Code, "code", 0, "status of that answer, or with --close the WebSocket's close code")
	f.StringVar(&o.item.Reason, "reason", "", "text beside --code")
	f.StringArrayVar(&o.meta, "meta", nil, "meta for filters, as `NAME=VALUE`; repeatable")
	f.StringVar(&o.sender, "sender", "", "`USER` whose connections skip the item, if they have the filter skip-self")
	f.SortFlags = false
	completeWords(c, "as", client.FormatStream, client.FormatResponse, client.FormatMessage)
}

// check judges what needs neither input nor network, and fills in the item.
func (o *gripOptions) check(c *cobra.Command) error {
	o.item.Action = client.GripSend
	var asked []string
	for action, given := range map[client.GripAction]bool{client.GripHint: o.hint, client.GripClose: o.close, client.GripRefresh: o.refresh} {
		if given {
			o.item.Action = action
			asked = append(asked, "--"+string(action))
		}
	}
	bad := func(text string) error { return usage(c, ui.UsageBadFlag, text) }
	switch {
	case len(asked) > 1:
		return bad("give one of --hint, --close and --refresh")
	case len(asked) == 1 && len(o.body) > 0:
		return bad(asked[0] + " has no body")
	case len(asked) == 1 && o.item.Binary:
		return bad("--bin is for a body, which " + asked[0] + " has none of")
	}
	if err := o.checkFormats(bad); err != nil {
		return err
	}
	if err := o.checkCode(c, bad); err != nil {
		return err
	}
	return o.readPairs(bad)
}

func (o *gripOptions) checkFormats(bad func(string) error) error {
	able := o.item.Action.Formats()
	for _, format := range o.as {
		switch {
		case !slices.Contains(client.GripSend.Formats(), format):
			return bad("--as takes http-stream, http-response or ws-message, not " + quote(format))
		case !slices.Contains(able, format):
			return bad("--" + string(o.item.Action) + " is not for " + format)
		}
	}
	o.item.Formats = o.as
	if len(o.as) == 0 {
		o.item.Formats = able
	}
	return nil
}

func (o *gripOptions) checkCode(c *cobra.Command, bad func(string) error) error {
	f := c.Flags()
	answers := o.item.Action == client.GripSend && slices.Contains(o.item.Formats, client.FormatResponse)
	closes := o.item.Action == client.GripClose && slices.Contains(o.item.Formats, client.FormatMessage)
	switch {
	case (o.contentType != "" || len(o.header) > 0) && !answers:
		return bad("--content-type and --header are for the format http-response")
	case (f.Changed("code") || o.item.Reason != "") && !answers && !closes:
		return bad("--code and --reason are for the format http-response, or for --close of WebSockets")
	case f.Changed("code") && answers && (o.item.Code < 100 || o.item.Code > 999):
		return bad("--code is a status of 100 to 999, not " + strconv.Itoa(o.item.Code))
	case f.Changed("code") && closes && (o.item.Code < 1000 || o.item.Code > 4999):
		return bad("--code is a close code of 1000 to 4999, not " + strconv.Itoa(o.item.Code))
	}
	return nil
}

// readPairs reads the flags that hold a name and a value.
func (o *gripOptions) readPairs(bad func(string) error) error {
	if o.contentType != "" {
		o.item.Header = append(o.item.Header, [2]string{"Content-Type", o.contentType})
	}
	for _, text := range o.header {
		name, value, ok := strings.Cut(text, ":")
		if !ok || name == "" || strings.ContainsAny(text, "\r\n") || strings.ContainsAny(name, " \t") {
			return bad("--header takes 'NAME: VALUE', not " + quote(text))
		}
		o.item.Header = append(o.item.Header, [2]string{name, strings.TrimSpace(value)})
	}
	o.item.Meta = map[string]string{}
	for _, text := range o.meta {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return bad("--meta takes NAME=VALUE, not " + quote(text))
		}
		o.item.Meta[name] = value
	}
	if o.sender != "" {
		o.item.Meta["sender"] = o.sender
	}
	return nil
}

// gripJSON is what --json prints.
type gripJSON struct {
	Type      string   `json:"type"`
	Channel   string   `json:"channel"`
	Action    string   `json:"action"`
	Formats   []string `json:"formats"`
	ID        string   `json:"id,omitempty"`
	Size      int      `json:"size"`
	LatencyMS float64  `json:"latency_ms"`
	Endpoint  string   `json:"endpoint"`
}

func runGripPublish(c *cobra.Command, d deps, o gripOptions) error {
	ctx := c.Context()
	if o.item.Action == client.GripSend {
		body, err := o.readBody(ctx, d)
		if err != nil {
			return err
		}
		o.item.Body = body
	}
	target, err := d.gripTarget(c, o.url)
	if err != nil {
		return err
	}
	rt := client.NewHTTP(1)
	defer rt.CloseIdleConnections()
	p := client.GripPublisher{Target: target, HTTP: rt, UserAgent: userAgent(), Timeout: d.flags.requestTimeout.D(), Log: d.log}
	sent, err := p.Publish(ctx, o.item)
	if err != nil {
		return gripProblem(err, target, p.Timeout)
	}
	if d.io.JSON {
		return d.output().Write(ctx, gripJSON{"published", o.item.Channel, string(o.item.Action), o.item.Formats,
			o.item.ID, len(o.item.Body), millis(sent.Took), target.String()})
	}
	what := inBytes(len(o.item.Body)) + ", "
	if o.item.Action != client.GripSend {
		what = string(o.item.Action) + ", "
	}
	d.io.Note("published to %s at %s (%s%.1f ms)", shownTopic(o.item.Channel), target, what, millis(sent.Took))
	return nil
}
