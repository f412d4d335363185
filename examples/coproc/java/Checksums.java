// SPDX-License-Identifier: MIT

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.BufferedOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * Checksums of files, as sha256sum prints them, sorted by name with --sort; of standard input without names.
 *
 * <p>javac -d classes ../../../sdk/java/Prewarm.java Checksums.java;
 * java -Xrs -cp classes Prewarm Checksums FILE...
 */
public final class Checksums {
    private Checksums() {}

    public static void main(String[] arguments) throws NoSuchAlgorithmException {
        List<String> names = new ArrayList<>(List.of(arguments));
        boolean sort = names.remove("--sort");
        if (names.isEmpty()) {
            names.add("-");
        }
        if (sort) {
            names.sort(null);
        }
        boolean good = true;
        // One system call for all lines, not one for each.
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out), false, StandardCharsets.UTF_8);
        for (String name : names) {
            try (InputStream in = name.equals("-") ? System.in
                     : Files.newInputStream(Prewarm.directory().resolve(name))) {
                out.print(sum(in) + "  " + name + "\n");
            } catch (IOException failure) {
                System.err.println("Checksums: " + name + ": " + failure.getClass().getSimpleName());
                good = false;
            }
        }
        out.flush();
        if (!good) {
            System.exit(1);
        }
    }

    private static String sum(InputStream in) throws IOException, NoSuchAlgorithmException {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        byte[] piece = new byte[1 << 16];
        for (int length = in.read(piece); length >= 0; length = in.read(piece)) {
            digest.update(piece, 0, length);
        }
        return HexFormat.of().formatHex(digest.digest());
    }
}
