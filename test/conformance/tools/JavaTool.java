// SPDX-License-Identifier: MIT

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The conformance tool (../README.md) in Java. */
public final class JavaTool {
    private JavaTool() {}

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "argv" -> {
                for (int i = 1; i < args.length; i++) {
                    System.out.print(args[i] + "\0");
                }
            }
            case "name" -> System.out.println(Prewarm.name());
            case "env" -> env(args);
            case "pwd" -> System.out.println(Prewarm.directory().toRealPath());
            case "umask" -> umask();
            case "cat" -> System.in.transferTo(System.out);
            case "line" -> line();
            case "out" -> System.out.print(args[1]);
            case "out-exit" -> {
                System.out.print(args[1]);
                System.exit(Integer.parseInt(args[2]));
            }
            case "err" -> System.err.print(args[1]);
            case "mix" -> {
                for (int i = 1; i <= Integer.parseInt(args[1]); i++) {
                    System.out.println("o" + i);
                    System.err.println("e" + i);
                }
            }
            case "big" -> System.out.print("x".repeat(Integer.parseInt(args[1])));
            case "exit" -> System.exit(Integer.parseInt(args[1]));
            case "quit" -> Runtime.getRuntime().halt(Integer.parseInt(args[1]));
            case "kill" -> {
                Prewarm.command("sh", "-c", "kill -\"$1\" $PPID", "kill", args[1]).start();
                Thread.sleep(60_000);
            }
            case "fail" -> throw new IllegalStateException(args[1]);
            case "soil" -> { }
            case "pause" -> {
                System.out.println("ready");
                System.in.readAllBytes();
            }
            case "leave" -> Prewarm.command("setsid", "cat", args[1]).inheritIO().start();
            default -> {
                System.err.println("tool: no such command: " + args[0]);
                System.exit(1);
            }
        }
    }

    private static void env(String[] names) {
        for (int i = 1; i < names.length; i++) {
            String value = Prewarm.environment().get(names[i]);
            System.out.print(names[i] + (value == null ? "" : "=" + value) + "\0");
        }
    }

    private static void umask() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("Umask:")) {
                System.out.println(line.substring(6).strip());
            }
        }
    }

    private static void line() throws IOException {
        int next = System.in.read();
        while (next >= 0) {
            System.out.write(next);
            if (next == '\n') {
                break;
            }
            next = System.in.read();
        }
        System.out.flush();
    }
}
