package cmd

import (
	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

const completionLong = `Print a script that lets a shell complete commands, flags, contexts and values.

  bash        source <(pubsubctl completion bash)        in ~/.bashrc; needs bash-completion
  zsh         pubsubctl completion zsh > "${fpath[1]}/_pubsubctl"
  fish        pubsubctl completion fish > ~/.config/fish/completions/pubsubctl.fish
  powershell  pubsubctl completion powershell | Out-String | Invoke-Expression`

func newCompletion(d deps) *cobra.Command {
	shells := []cobra.Completion{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the completion script of a shell",
		Long:  completionLong,
		Example: "  pubsubctl completion bash\n" +
			"  pubsubctl completion zsh\n" +
			"  pubsubctl completion fish",
		Args:        argsExact("the name of a shell"),
		ValidArgs:   shells,
		Annotations: notes("help environment", noJSON("prints a script")),
		RunE: func(c *cobra.Command, args []string) error {
			return printCompletion(d, c, args[0])
		},
	}
}

func printCompletion(d deps, c *cobra.Command, shell string) error {
	root := c.Root()
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(d.io.Out, true)
	case "zsh":
		return root.GenZshCompletion(d.io.Out)
	case "fish":
		return root.GenFishCompletion(d.io.Out, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(d.io.Out)
	}
	p := usage(c, ui.UsageBadArgument, "there is no completion for "+quote(shell))
	return p.Because("the shells are bash, zsh, fish and powershell")
}

// completeContexts offers the names of contexts. A file that cannot be read
// offers none, because a completion has no place for an error.
func completeContexts(d deps) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		path, _ := d.configPath()
		contexts, err := config.ReadContexts(path)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return contexts.Names(), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeContext offers the names of contexts for the first argument.
func completeContext(d deps) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return noCompletion(c, args, word)
		}
		return completeContexts(d)(c, args, word)
	}
}
