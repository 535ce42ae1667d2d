# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for sos(1)

# The server's sandboxes; none where no server answers.
_sos_ids()
{
	local options=() i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${words[i]} in
		--server|--token-file) options+=("${words[i]}" "${words[i + 1]}") ;;
		--server=*|--token-file=*) options+=("${words[i]}") ;;
		esac
	done
	timeout 2 "${words[0]}" sandbox "${options[@]}" list --quiet 2>/dev/null
}

_sos()
{
	# Words as the user sees them: readline cuts URLs and --option=value at : and =.
	local words cword cur prev
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n =: cur prev words cword
	else
		words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
		cur=${words[cword]} prev=${words[cword - 1]}
	fi
	local remote='--server --token-file --help'
	local spec='--image --setup --env --label --workdir --user --memory --cpus --pids --lifetime --idle-timeout
		--network --streams --profile --runtime --new-privileges'
	local group='' command='' i
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-s|--server|--token-file) [[ $command ]] || ((i++)) ;;
		-*) ;;
		*)
			if [[ ! $group ]]; then
				group=${words[i]}
			elif [[ $group = sandbox || $group = pool ]] && [[ ! $command ]]; then
				command=${words[i]}
			fi
			;;
		esac
	done

	case $prev in
	--network) COMPREPLY=($(compgen -W 'bridge none' -- "$cur")); return ;;
	--streams) COMPREPLY=($(compgen -W 'merged separate' -- "$cur")); return ;;
	--profile) COMPREPLY=($(compgen -W 'standard strict' -- "$cur")); return ;;
	--transport) COMPREPLY=($(compgen -W 'auto socket attach' -- "$cur")); return ;;
	--warm-policy) COMPREPLY=($(compgen -W 'fixed adaptive' -- "$cur")); return ;;
	--log-level) COMPREPLY=($(compgen -W 'error warn info debug' -- "$cur")); return ;;
	--log-format) COMPREPLY=($(compgen -W 'text json' -- "$cur")); return ;;
	--token-file|--stdin|--runtime-dir) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	--server|--image|-i|--setup|--env|--label|--workdir|--user|--memory|--cpus|--pids|--lifetime|--idle-timeout|\
	--runtime|--timeout|--max-output|--exec-id|--wait|--port|-p|--max-sandboxes|-m|--listen|--engine|--pool|--warm) return ;;
	esac

	local list=''
	case $group:$command in
	:) list="serve sandbox session pool help --version $remote" ;;
	help:) list='serve sandbox session pool' ;;
	serve:)
		list='--port --max-sandboxes --max-waiting --timeout --listen --token-file --insecure --allow-host
			--allow-origin --engine --pool --memory --pids --cpus --network --transport --warm
			--warm-policy --runtime-dir --log-level
			--log-format --help'
		;;
	session:) list="$spec $remote" ;;
	pool:) list="warm --json $remote" ;;
	pool:warm) list="$spec $remote" ;;
	sandbox:) list="create list start exec result stop info trajectory $remote" ;;
	sandbox:create) list="$spec --start --json $remote" ;;
	sandbox:list|sandbox:ls) list="--quiet --json $remote" ;;
	sandbox:start) list=$remote ;;
	sandbox:exec)
		list="--standalone --argv --timeout --max-output --stdin --separate --judge --background --exec-id --json $remote"
		;;
	sandbox:result) list="--wait --json $remote" ;;
	sandbox:stop) list="--remove $remote" ;;
	sandbox:info|sandbox:show) list="--json $remote" ;;
	sandbox:trajectory) list="--formatted --json $remote" ;;
	esac
	case $command in
	start|exec|result|stop|info|show|trajectory) [[ $cur = -* ]] || list=$(_sos_ids) ;;
	*) [[ $group && $group:$command != @(sandbox:*|pool:) && $group != help && $cur != -* ]] && list='' ;;
	esac
	COMPREPLY=($(compgen -W "$list" -- "$cur"))
}
complete -F _sos sos
