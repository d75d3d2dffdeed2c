package tail

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/pubsubctl/pubsubctl/internal/tail/quietinit"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// By now the toolkit is initialised, which this package imports.
var _ = quietinit.Restore()

// maxFPS is how many redraws there are in a second at most.
const maxFPS = 30

// crash is a panic on its way to the edge of the program. It travels as a value
// because the terminal has to be restored first.
type crash struct {
	value any
	stack []byte
}

// String is what the panic said, and where.
func (c *crash) String() string { return fmt.Sprintf("%v\n\n%s", c.value, c.stack) }

// crashedMsg is the panic of a command.
type crashedMsg struct{ *crash }

// Run shows the topics until the user leaves, and returns what there was. The
// error is ui.ExitInterrupted for Ctrl-C and the context's cause if ctx ends. A
// panic inside goes on in the caller, after the terminal is restored.
func Run(ctx context.Context, o Options) (Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.Out = newTerminal(o.Out)
	m := New(ctx, o)
	p := tea.NewProgram(guarded{m, &crash{}}, programOptions(ctx, o)...)
	last, err := p.Run()
	parent := context.Cause(ctx)
	cancel()
	m.feeds.wait()
	g, ok := last.(guarded)
	switch {
	case ok && g.crash.stack != nil:
		panic(g.crash)
	case errors.Is(err, tea.ErrProgramPanic):
		panic(err) // of a command of the toolkit itself, whose text is on the screen
	case parent != nil:
		err = parent
	case err == nil && ok && g.interrupted:
		err = ui.ExitInterrupted
	}
	if ok {
		m = g.Model
	}
	return m.summary(), err
}

func programOptions(ctx context.Context, o Options) []tea.ProgramOption {
	options := []tea.ProgramOption{
		tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithEnvironment(o.Environ),
		tea.WithFPS(maxFPS), tea.WithAltScreen(), // no title: the one from before cannot be restored
		tea.WithoutSignalHandler(), // the caller has one, and its context ends us
	}
	if o.Mouse {
		options = append(options, tea.WithMouseCellMotion())
	}
	return options
}

// guarded is the model for bubbletea. It turns a panic into the orderly end of
// the program, after which Run lets it go on.
type guarded struct {
	Model
	crash *crash // shared by all copies; its stack is nil until there was one
}

// fail keeps the first panic.
func (g guarded) fail(v any, stack []byte) {
	if g.crash.stack == nil {
		*g.crash = crash{v, stack}
	}
}

// Init starts the view.
func (g guarded) Init() tea.Cmd { return guard(g.start()) }

// Update passes msg to the model.
func (g guarded) Update(msg tea.Msg) (next tea.Model, cmd tea.Cmd) {
	defer func() {
		if v := recover(); v != nil {
			g.fail(v, debug.Stack())
			next, cmd = g, tea.Quit
		}
	}()
	if c, ok := msg.(crashedMsg); ok {
		g.fail(c.value, c.stack)
	}
	if g.crash.stack != nil {
		return g, tea.Quit
	}
	g.Model, cmd = g.Model.Update(msg)
	return g, guard(cmd)
}

// View draws the model. After a panic in here the screen is empty until the next
// Update, which is less than a second away, ends the program.
func (g guarded) View() (v string) {
	defer func() {
		if p := recover(); p != nil {
			g.fail(p, debug.Stack())
			v = ""
		}
	}()
	if g.crash.stack != nil {
		return ""
	}
	at, typing := g.caret()
	return framed(g.Model.View(), at, typing)
}

// guard makes a command whose panic arrives as a message.
func guard(cmd tea.Cmd) tea.Cmd {
	if cmd == nil {
		return nil
	}
	return func() (msg tea.Msg) {
		defer func() {
			if v := recover(); v != nil {
				msg = crashedMsg{&crash{v, debug.Stack()}}
			}
		}()
		msg = cmd()
		if many, ok := msg.(tea.BatchMsg); ok {
			for i := range many {
				many[i] = guard(many[i])
			}
		}
		return msg
	}
}
