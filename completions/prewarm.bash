# SPDX-License-Identifier: MIT
#
# bash completion for prewarm(1). Needs nothing of the bash-completion package.

# Offers those of the given words that begin with $cur.
_prewarm_words() {
  mapfile -t COMPREPLY < <(compgen -W "$*" -- "$cur")
}

_prewarm_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

# Executable files found through PATH, by name; files, once a slash was typed.
_prewarm_programs() {
  if [[ $cur == */* ]]; then
    _prewarm_files
    return
  fi
  local directory file
  local -a directories
  local -A found=()
  IFS=: read -ra directories <<<"$PATH"
  for directory in "${directories[@]}"; do
    for file in "${directory:-.}/$cur"*; do
      if [[ -f $file && -x $file ]]; then found[${file##*/}]=1; fi
    done
  done
  COMPREPLY=("${!found[@]}")
}

_prewarm() {
  local cur=${COMP_WORDS[COMP_CWORD]}
  local previous=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  # Readline breaks --option=value into three words.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $previous == = ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi

  if ((COMP_CWORD == 1)); then
    if [[ $cur == -* ]]; then
      _prewarm_words --help --version
    else
      _prewarm_words run plan doctor bench call pool nailgun exec image
    fi
    return
  fi

  # The subcommand's own options end at the first operand, which after -c is the commands.
  local -i i operands=0 commands=0
  for ((i = 2; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      --stats-json | --max-warm | --isolation | --html | --runs | --pool | --affinity | --timeout | \
        --preload | --declarations | -j | --jobs | --listen | --idle-seconds | --image | --path)
        if [[ ${COMP_WORDS[i + 1]-} == = ]]; then ((++i)); fi
        ((++i))
        ;;
      -c) commands=1 ;;
      -*) ;;
      *) ((++operands)) ;;
    esac
  done

  case ${COMP_WORDS[1]} in
    run)
      if ((operands > 0)); then
        _prewarm_files
        return
      fi
      case $previous in
        --isolation) _prewarm_words clone exec ;;
        --stats-json) _prewarm_files ;;
        --max-warm) ;;
        *)
          if [[ $cur == -* ]]; then
            _prewarm_words -c --stats --stats-json --no-learn --max-warm --isolation --bash --help
          elif ((commands == 0)); then
            _prewarm_files
          fi
          ;;
      esac
      ;;
    plan)
      if [[ $cur == -* ]]; then
        _prewarm_words --json --help
      elif ((operands == 0)); then
        _prewarm_files
      fi
      ;;
    doctor)
      if [[ $cur == -* ]]; then
        _prewarm_words --json --help
      else
        _prewarm_programs
      fi
      ;;
    call)
      if ((operands > 0)); then
        _prewarm_files
        return
      fi
      case $previous in
        --declarations) _prewarm_files ;;
        --pool | --affinity | --timeout | --preload | -j | --jobs) ;;
        *)
          if [[ $cur == -* ]]; then
            _prewarm_words --pool --affinity --timeout --preload --declarations --no-batch --explain \
              --each --progress --null --jobs --help
          else
            _prewarm_programs
          fi
          ;;
      esac
      ;;
    pool)
      case ${COMP_WORDS[2]} in
        list | stats) _prewarm_words --json --help ;;
        stop) _prewarm_programs ;;
        serve) _prewarm_words --background --help ;;
        *) _prewarm_words list stats stop serve --help ;;
      esac
      ;;
    exec)
      if ((operands > 0)); then
        _prewarm_files
        return
      fi
      case $previous in
        --image | --path) _prewarm_files ;;
        *)
          if [[ $cur == -* ]]; then
            _prewarm_words --wait --always --explain --image --path --help
          else
            _prewarm_programs
          fi
          ;;
      esac
      ;;
    image)
      case $previous in
        --output | -o | --html | --dir)
          _prewarm_files
          return
          ;;
      esac
      case ${COMP_WORDS[2]} in
        "$cur") _prewarm_words build ls verify gc rm install uninstall explain --help ;;
        ls | gc) _prewarm_words --json --help ;;
        *)
          if [[ $cur != -* ]]; then
            _prewarm_programs
            return
          fi
          case ${COMP_WORDS[2]} in
            build) _prewarm_words --pack --no-pack --output --json --help ;;
            install) _prewarm_words --by-path --dir --json --help ;;
            uninstall) _prewarm_words --dir --json --help ;;
            explain) _prewarm_words --html --json --help ;;
            *) _prewarm_words --json --help ;;
          esac
          ;;
      esac
      ;;
    nailgun)
      case $previous in
        --listen | --idle-seconds) ;;
        *) _prewarm_words --listen --idle-seconds --help ;;
      esac
      ;;
    bench)
      case $previous in
        --html | --json | --dir) _prewarm_files ;;
        --runs | --libs | --funcs | --deps | --rounds | --max-seconds | --processes) ;;
        --graph) _prewarm_words star chain dag ;;
        --ways) _prewarm_words stock bind-now musl static image packed ;;
        --max-page-size) _prewarm_words 4096 16384 65536 2097152 ;;
        bench) _prewarm_words spawn deps --help ;;
        *)
          if [[ ${COMP_WORDS[2]} == deps ]]; then
            _prewarm_words --libs --funcs --graph --deps --cxx --tls --versions --max-page-size --ways \
              --rounds --max-seconds --processes --dir --html --json --help
          else
            _prewarm_words --html --json --runs --quick --help
          fi
          ;;
      esac
      ;;
  esac
}

complete -F _prewarm prewarm
